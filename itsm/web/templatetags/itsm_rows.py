"""Rows of lists and options of their filters: the HTML that stands in code. As templates, they took most of the queue's time."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from itsm.kernel import clock
from itsm.tickets.kinds import KINDS, state_label
from itsm.tickets.lines import Line
from itsm.tickets.models import StateCategory, Ticket
from itsm.tickets.placement import placement_hidden
from itsm.web.panes import PANES
from itsm.web.templatetags.itsm_web import times

register = template.Library()

#: Stands for a number in an address that is asked for once and used for every row.
_ANY_NUMBER = "INC0000000"
#: What is due within so many seconds is due soon.
_SOON = 3600


@register.simple_tag(takes_context=True)
def rows(context: Any, tickets: Iterable[Line], *, own: bool = False) -> SafeString:
    """The rows of a list. ``own`` leaves out what a requester knows or is not told: himself, and who works on it."""
    writer = _Rows(context, own=own, split=bool(context.get("split")))
    return SafeString("".join(writer.row(ticket) for ticket in tickets))


@register.simple_tag(takes_context=True)
def row(context: Any, ticket: Ticket) -> SafeString:
    """The row of a ticket that is open beside the list."""
    return SafeString(_Rows(context, own=False, split=True).row(ticket))


@register.simple_tag
def options(offered: Iterable[tuple[str, str, bool]]) -> SafeString:
    """The options of a select box: value, text, and whether it is chosen."""
    written = (
        f'<option value="{escape(value)}"{" selected" if chosen else ""}>{escape(text)}</option>'
        for value, text, chosen in offered
    )
    return SafeString("".join(written))


@register.simple_tag
def checks(name: str, offered: Iterable[tuple[str, str, bool]]) -> SafeString:
    """Check boxes of one name: value, text, and whether it is ticked."""
    written = (
        f'<label class="check"><input type="checkbox" name="{escape(name)}" value="{escape(value)}"'
        f"{' checked' if chosen else ''}> {escape(text)}</label>"
        for value, text, chosen in offered
    )
    return SafeString("".join(written))


class _Rows:
    """Writes rows; what is the same in all of them is looked up once."""

    def __init__(self, context: Any, *, own: bool, split: bool) -> None:
        self.own, self.split = own, split
        self.actor = context["actor"]
        self.open_number = context.get("open_number", "")
        self.here = f"{escape(here)}&amp;" if (here := context.get("here", "")) else ""
        self.pages = {key: escape(reverse(kind.page, args=[_ANY_NUMBER])) for key, kind in KINDS.items()}
        self.service, self.requester = escape(_("Service")), escape(_("Requester"))
        self.unassigned = escape(_("Unassigned"))
        self.time = times(short=True)
        self.states: dict[tuple[str, int], str] = {}
        self.now = clock.now()
        self.overdue, self.soon, self.waits = escape(_("Overdue")), escape(_("Soon")), escape(_("Waits"))

    def row(self, ticket: Line | Ticket) -> str:
        number = escape(ticket.number)
        page = self.pages.get(ticket.kind, "").replace(_ANY_NUMBER, number)
        return f"""<tr class="row" id="row-{number}" data-page="{page}">
<td class="by-priority"><span class="prio p{ticket.priority}">P{ticket.priority}</span></td>
<td class="what">{self._title(ticket, page)}
<p class="meta"><span class="number">{number}</span>
<span class="state {escape(ticket.state_category)}">{self._state(ticket)}</span>
{self._named("of-service", self.service, ticket.service)}
{"" if self.own else self._named("of-requester", self.requester, ticket.requester)}</p></td>
{"" if self.own else self._whose(ticket)}
<td class="by-updated dim">{self.time(ticket.updated_at)}</td>
</tr>
"""

    def _state(self, ticket: Line | Ticket) -> str:
        label = self.states.get((ticket.kind, ticket.state))
        if label is None:
            label = self.states[ticket.kind, ticket.state] = escape(state_label(ticket.kind, ticket.state))
        return label

    def _title(self, ticket: Line | Ticket, page: str) -> str:
        beside = self.split and ticket.kind in PANES
        address = f"?{self.here}open={quote(ticket.number)}" if beside else page
        current = ' aria-current="true"' if ticket.number == self.open_number else ""
        boost = 'hx-boost="false" ' if self.split and not beside else ""
        return f'<a{current} class="title" {boost}href="{address}"><bdi>{escape(ticket.title)}</bdi></a>'

    def _named(self, style: str, label: str, name: Any) -> str:
        return f'<span class="{style}"><span class="hidden">{label}: </span>{_bdi(name)}</span>' if name else ""

    def _whose(self, ticket: Line | Ticket) -> str:
        shown = ""
        if not placement_hidden(self.actor, ticket.team_id):
            assignee = _bdi(ticket.assignee) or f'<span class="dim">{self.unassigned}</span>'
            shown = f'<span>{assignee}</span>\n<span class="dim">{_bdi(ticket.team)}</span>'
        return f'<td class="whose">{shown}</td>\n{self._due(ticket)}'

    def _due(self, ticket: Line | Ticket) -> str:
        """The next deadline, in a word, a colour and a time. Once it has passed, it stays the next until somebody acts."""
        if ticket.due_at is None:
            if ticket.state_category == StateCategory.WAITING:
                return f'<td class="by-due waits"><span class="word">{self.waits}</span></td>'
            return '<td class="by-due"></td>'
        left = (ticket.due_at - self.now).total_seconds()
        style, word = ("late", self.overdue) if left < 0 else ("soon", self.soon) if left < _SOON else ("", "")
        said = f'<span class="word">{word}</span> ' if word else ""
        return f'<td class="by-due{" " + style if style else ""}">{said}{self.time(ticket.due_at)}</td>'


def _bdi(name: Any) -> str:
    return f"<bdi>{escape(str(name))}</bdi>" if name else ""
