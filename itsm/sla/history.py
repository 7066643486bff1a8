"""Clocks of recorded history: what the policies of today would have promised work that was done elsewhere.

They page nobody: what was due before they were made is noted as past, and only what is still to come is armed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import cache
from itertools import groupby
from typing import Any
from uuid import UUID

from itsm.events.models import Event
from itsm.kernel import clock as time_of_commands
from itsm.sla import clock as clocks
from itsm.sla.book import Book, book, terms_of
from itsm.sla.calendar import to_micros
from itsm.sla.clock import ClockState
from itsm.sla.course import Course
from itsm.sla.facts import facts
from itsm.sla.models import SlaClock, SlaClockEvent
from itsm.sla.rows import computed, store
from itsm.tenancy.context import tenant
from itsm.tenancy.rows import insert
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket

#: Rows of one statement.
_ROWS = 1000
#: Fields of a ticket that history tells, by their name in a change.
_TOLD = {
    "priority": "priority",
    "impact": "impact",
    "urgency": "urgency",
    "service": "service_id",
    "category": "category_id",
    "team": "team_id",
    "requester": "requester_id",
}
_IDS = frozenset({"service", "category", "team", "requester"})


def backfill(tenant_id: UUID, ticket_ids: Sequence[UUID]) -> int:
    """Make the clocks of tickets that have none, from their events. Answers how many clocks. Joins an open transaction."""
    with tenant(tenant_id):
        have = set(
            SlaClock.objects.filter(tenant_id=tenant_id, ticket_id__in=ticket_ids).values_list("ticket_id", flat=True)
        )
        tickets = {
            ticket.pk: ticket
            for ticket in Ticket.objects.filter(tenant_id=tenant_id, pk__in=set(ticket_ids) - have, kind__in=KINDS)
        }
        events = Event.objects.filter(tenant_id=tenant_id, ticket_id__in=tickets).order_by("ticket_id", "sequence")
        rows: list[SlaClock] = []
        written: list[SlaClockEvent] = []
        known, now = cache(lambda: book(tenant_id)), to_micros(time_of_commands.now())
        for ticket_id, own in groupby(events.iterator(chunk_size=2000), key=lambda event: event.ticket_id):
            course = _course(tenant_id, tickets[ticket_id], list(own), known())
            for row in course.rows:
                _silence(tenant_id, row, now)
            rows += course.rows
            written += course.events
            _tell_spine(tenant_id, tickets[ticket_id], course)
        for part in _parts(rows):
            insert(part)
        for part in _parts(written):
            insert(part)
    return len(rows)


def _course(tenant_id: UUID, ticket: Ticket, events: list[Event], promises: Book) -> Course:
    """The ticket's clocks after all of its events, each taken with the ticket as it was then."""
    then = _at_first(ticket, events)
    # Who answered is not recorded in what other systems export: states and assignments are.
    found = facts(ticket.kind, events, works=lambda event: event.actor_id != ticket.requester_id)
    course = Course(tenant_id, then, lambda: promises, [], past=lambda: found)
    changes: dict[UUID | None, dict[str, Any]] = {event.pk: event.payload.get("changes") or {} for event in events}
    for fact in found:
        _apply(then, changes[fact.event_id])
        if fact.category is not None:
            then.state_category = fact.category
        course.take(fact)
    return course


def _at_first(ticket: Ticket, events: Iterable[Event]) -> Ticket:
    """The ticket as it was opened: what changed later has its old value again."""
    then, seen = copy(ticket), set[str]()
    for event in events:
        for name, pair in (event.payload.get("changes") or {}).items():
            if name in _TOLD and name not in seen and isinstance(pair, list) and len(pair) == 2:
                seen.add(name)
                if pair[0] is not None:
                    setattr(then, _TOLD[name], _value(name, pair[0]))
    return then


def _apply(then: Ticket, changes: dict[str, Any]) -> None:
    for name, pair in changes.items():
        if name in _TOLD and isinstance(pair, list) and len(pair) == 2:
            setattr(then, _TOLD[name], _value(name, pair[1]))


def _value(name: str, value: Any) -> Any:
    return UUID(value) if name in _IDS and value is not None else value


def _silence(tenant_id: UUID, row: SlaClock, now: int) -> None:
    if row.state == ClockState.RUNNING:
        clock = computed(row, terms_of(tenant_id, row.policy_version_id))
        store(row, clocks.fire(clock, now)[0])


def _tell_spine(tenant_id: UUID, ticket: Ticket, course: Course) -> None:
    if course.due_at is not None:
        Ticket.objects.filter(tenant_id=tenant_id, pk=ticket.pk).update(due_at=course.due_at)


def _parts(rows: list[Any]) -> Iterable[list[Any]]:
    return (rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS))
