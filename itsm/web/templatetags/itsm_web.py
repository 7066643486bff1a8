"""Template words of every page."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from itsm.tickets.kinds import KINDS, state_label
from itsm.tickets.models import Ticket
from itsm.web.markdown import to_html
from itsm.web.panes import PANES

register = template.Library()


@register.filter
def markdown(text: str | None) -> SafeString:
    """Markdown that somebody wrote, as harmless HTML."""
    return to_html(text or "")


@register.filter
def when(instant: datetime | None) -> SafeString | str:
    """An instant in the reader's zone and language, to the minute; machines read it in UTC."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    return _time(instant, f"{_day(local)}, {date_format(local, 'TIME_FORMAT')}")


@register.filter
def when_short(instant: datetime | None) -> SafeString | str:
    """The same for dense lists: the time if it is today, else the day."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    today = local.date() == timezone.localdate()
    return _time(instant, date_format(local, "TIME_FORMAT") if today else _day(local))


def _day(local: datetime) -> str:
    # Translators: a day of this year, and one of another year, in Django's date letters.
    return date_format(local, _("j M") if local.year == timezone.localdate().year else _("j M Y"))


def _time(instant: datetime, shown: str) -> SafeString:
    local = timezone.localtime(instant)
    whole = escape(f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}")
    machine = instant.astimezone(UTC).isoformat(timespec="seconds")
    return SafeString(f'<time datetime="{machine}" title="{whole}">{escape(shown)}</time>')


@register.filter
def state(ticket: Ticket) -> str:
    """What people call the ticket's state."""
    return state_label(ticket.kind, ticket.state)


@register.filter
def kind_label(ticket: Ticket) -> str:
    """What people call this kind of ticket."""
    known = KINDS.get(ticket.kind)
    return str(known.label) if known else ticket.kind


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
