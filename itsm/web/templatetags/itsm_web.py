"""Template words of every page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from html import escape
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from itsm.tickets.kinds import KINDS, state_label
from itsm.tickets.models import Ticket
from itsm.web.markdown import to_html
from itsm.web.panes import PANES
from itsm.web.shortcuts import SHORTCUTS

register = template.Library()


@register.simple_tag(takes_context=True)
def keys_help(context: Any) -> SafeString:
    """The help dialog. It is on every page and the same for all who share a language: written once, not each time."""
    return _keys_help(get_language() or "", context["preferences"].shortcuts, reverse("profile"))


@lru_cache(maxsize=256)
def _keys_help(_language: str, single: bool, preferences: str) -> SafeString:
    context = {"shortcuts": SHORTCUTS, "single": single, "preferences": preferences}
    return render_to_string("itsm/parts/keys.html", context)


@register.filter
def markdown(text: str | None) -> SafeString:
    """Markdown that somebody wrote, as harmless HTML."""
    return to_html(text or "")


@register.filter
def when(instant: datetime | None) -> SafeString | str:
    """An instant in the reader's zone and language, to the minute; machines read it in UTC."""
    return _time(instant, short=False)


@register.filter
def when_exactly(instant: datetime | None) -> SafeString | str:
    """The same to the second, for tables whose rows add up."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    machine = instant.astimezone(UTC).isoformat(timespec="microseconds")
    day = date_format(local, _("j M") if local.year == timezone.localdate().year else _("j M Y"))
    return SafeString(f'<time datetime="{machine}">{escape(day)}, {local:%H:%M:%S}</time>')


@register.filter
def when_short(instant: datetime | None) -> SafeString | str:
    """The same for dense lists: the time if it is today, else the day."""
    return _time(instant, short=True)


def _time(instant: datetime | None, *, short: bool) -> SafeString | str:
    return "" if instant is None else times(short=short)(instant)


def times(*, short: bool) -> Callable[[datetime], SafeString]:
    """Writes instants for this reader. What does not change from one to the next (zone, language, today) is asked once."""
    zone, today, language = timezone.get_current_timezone(), timezone.localdate(), get_language() or ""

    def written(instant: datetime) -> SafeString:
        local = instant.astimezone(zone)
        whole, shown = _words(local.replace(second=0, microsecond=0, tzinfo=None), today, short, language)
        machine = instant.astimezone(UTC).isoformat(timespec="seconds")
        return SafeString(f'<time datetime="{machine}" title="{whole} {escape(local.tzname() or "")}">{shown}</time>')

    return written


@lru_cache(maxsize=8192)
def _words(minute: datetime, today: date, short: bool, _language: str) -> tuple[str, str]:
    """The whole instant and what is shown of it. Kept: a list shows the same fifty to everybody who looks at it."""
    # Translators: a day of this year, and one of another year, in Django's date letters.
    day = date_format(minute, _("j M") if minute.year == today.year else _("j M Y"))
    hour = date_format(minute, "TIME_FORMAT")
    shown = (hour if minute.date() == today else day) if short else f"{day}, {hour}"
    return escape(date_format(minute, "DATETIME_FORMAT")), escape(shown)


@register.filter
def state(ticket: Ticket) -> str:
    """What people call the ticket's state."""
    return state_label(ticket.kind, ticket.state)


@register.filter
def page(ticket: Ticket) -> str:
    """The address of the ticket's page; empty for a kind that has none here."""
    known = KINDS.get(ticket.kind)
    return reverse(known.page, args=[ticket.number]) if known else ""


@register.filter
def beside(ticket: Ticket) -> bool:
    """Whether this kind of ticket can be read beside a list."""
    return ticket.kind in PANES


@register.filter
def initials(name: Any) -> str:
    """Up to two letters for a badge; the name itself stands beside it for everybody who needs it."""
    words = [word for word in str(name or "").split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
