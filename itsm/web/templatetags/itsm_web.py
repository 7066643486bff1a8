"""Template words of every page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from itsm.tickets.kinds import KINDS, state_label
from itsm.tickets.lines import Line
from itsm.tickets.models import Ticket
from itsm.web.markdown import to_html

register = template.Library()


@register.filter
def markdown(text: str | None) -> SafeString:
    """Markdown that somebody wrote, as harmless HTML."""
    return to_html(text or "")


@register.filter
def when(instant: datetime | None) -> SafeString | str:
    """An instant in the reader's zone and language; machines read it in UTC."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    text = escape(date_format(local, "DATETIME_FORMAT"))
    machine = instant.astimezone(UTC).isoformat(timespec="seconds")
    # Written as a string and not by format_html, which costs twice as much: a list has fifty of them.
    return mark_safe(f'<time datetime="{machine}" title="{text} {escape(local.tzname() or "")}">{text}</time>')  # noqa: S308


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
def initials(name: Any) -> str:
    """Up to two letters for a badge; the name itself stands beside it for everybody who needs it."""
    words = [word for word in str(name or "").split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


@register.simple_tag(takes_context=True)
def rows(context: Any, tickets: Iterable[Line], *, own: bool = False) -> SafeString:
    """The rows of a list. ``own`` leaves out what a requester knows or is not told: himself, and who works on it.

    The one piece of HTML that stands in code: as a template it took two thirds of the queue's time.
    """
    hidden = context["actor"].hidden_teams
    words = {name: escape(text) for name, text in _row_words().items()}
    pages = {key: reverse(kind.page, args=[_ANY_NUMBER]) for key, kind in KINDS.items()}
    return mark_safe("".join(_row(ticket, words, pages, own=own, hidden=hidden) for ticket in tickets))  # noqa: S308


#: Stands for a number in an address that is asked for once and used for every row.
_ANY_NUMBER = "INC0000000"


def _row_words() -> dict[str, str]:
    return {"service": _("Service"), "requester": _("Requester"), "unassigned": _("Unassigned")}


def _row(ticket: Line, words: dict[str, str], pages: dict[str, str], *, own: bool, hidden: frozenset[Any]) -> str:
    number, meta, whose = escape(ticket.number), "", ""
    for name, value in (("service", ticket.service), ("requester", "" if own else ticket.requester)):
        if value:
            meta += f'<span><span class="hidden">{words[name]}: </span><bdi>{escape(value)}</bdi></span>\n'
    if not own and ticket.team_id not in hidden:
        who = (
            f"<bdi>{escape(ticket.assignee)}</bdi>"
            if ticket.assignee
            else f'<span class="dim">{words["unassigned"]}</span>'
        )
        team = f"<bdi>{escape(ticket.team)}</bdi>" if ticket.team else ""
        whose = f'<span>{who}</span>\n<span class="dim">{team}</span>'
    address = escape(pages.get(ticket.kind, "").replace(_ANY_NUMBER, quote(ticket.number)))
    return f"""<li class="row">
<span class="prio p{ticket.priority}">P{ticket.priority}</span>
<div class="what"><a class="title" href="{address}"><bdi>{escape(ticket.title)}</bdi></a>
<p class="meta"><span class="number">{number}</span>
<span class="state {escape(ticket.state_category)}">{escape(state_label(ticket.kind, ticket.state))}</span>
{meta}</p></div>
<div class="whose">{whose}</div>
<div class="then dim">{when(ticket.updated_at)}</div>
</li>
"""
