"""Clocks of recorded history: what the policies of today would have promised work that was done elsewhere.

They page nobody: what was due before they were made is noted as past, and only what is still to come is armed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

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
from itsm.tenancy.bulk import insert_rows
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket

_CLOCK = {
    **dict.fromkeys(("id", "ticket_id", "team_id", "policy_id", "policy_version_id", "calendar_version_id"), "uuid"),
    **dict.fromkeys(("metric", "promise", "state", "pause_reason"), "text"),
    **dict.fromkeys(("cycle", "generation"), "int"),
    **dict.fromkeys(("target", "elapsed"), "bigint"),
    **dict.fromkeys(
        ("started_at", "anchor_at", "paused_at", "stopped_at", "due_at", "breached_at", "next_due_at"), "timestamptz"
    ),
    "step_due": "timestamptz[]",
    "fired": "smallint[]",
}
_OPERATION = {
    **dict.fromkeys(("id", "clock_id", "policy_version_id", "calendar_version_id", "event_id"), "uuid"),
    **dict.fromkeys(("team_id", "service_id", "organisation_id"), "uuid"),
    **dict.fromkeys(("operation", "promise", "reason"), "text"),
    **dict.fromkeys(("generation", "priority"), "int"),
    **dict.fromkeys(("target", "elapsed"), "bigint"),
    **dict.fromkeys(("at", "due_at"), "timestamptz"),
}
_SPINE = """
UPDATE tickets_ticket t SET due_at = d.due_at FROM unnest(%s::uuid[], %s::timestamptz[]) AS d(id, due_at)
WHERE t.tenant_id = %s AND t.id = d.id
"""
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


class PastEvent(NamedTuple):
    """What the log holds of an event, as far as clocks care."""

    ticket_id: UUID
    pk: UUID
    kind: str
    version: int
    payload: dict[str, Any]
    occurred_at: datetime
    actor_id: UUID | None


def backfill(tenant_id: UUID, ticket_ids: Sequence[UUID]) -> int:
    """Make the clocks of tickets that have none, from their events. Answers how many clocks. Joins an open transaction."""
    with tenant(tenant_id):
        clocked = SlaClock.objects.filter(tenant_id=tenant_id, ticket_id__in=ticket_ids)
        bare = set(ticket_ids) - set(clocked.values_list("ticket_id", flat=True))
        tickets = {
            ticket.pk: ticket for ticket in Ticket.objects.filter(tenant_id=tenant_id, pk__in=bare, kind__in=KINDS)
        }
        organisations = _organisations(tenant_id, tickets.values())
        promises, now = book(tenant_id), to_micros(time_of_commands.now())
        rows: list[SlaClock] = []
        operations: list[SlaClockEvent] = []
        due: dict[UUID, datetime] = {}
        for ticket_id, own in groupby(_events(tenant_id, tickets), key=lambda event: event.ticket_id):
            course = _course(tenant_id, tickets[ticket_id], list(own), promises, organisations)
            for row in course.rows:
                _silence(tenant_id, row, now)
            rows += course.rows
            operations += course.events
            if course.due_at is not None:
                due[ticket_id] = course.due_at
        constants = {"tenant_id": tenant_id}
        insert_rows("sla_slaclock", _CLOCK, _plain(rows, _CLOCK), {**constants, "attempts": 0, "last_error": ""})
        insert_rows("sla_slaclockevent", _OPERATION, _plain(operations, _OPERATION), constants)
        if due:
            with connection.cursor() as cursor:
                cursor.execute(_SPINE, [list(due), list(due.values()), tenant_id])
    return len(rows)


def _events(tenant_id: UUID, ticket_ids: Iterable[UUID]) -> Iterable[PastEvent]:
    """Their events, ticket by ticket, in order. Not as model instances, which would take most of the time."""
    found = Event.objects.filter(tenant_id=tenant_id, ticket_id__in=list(ticket_ids)).order_by("ticket_id", "sequence")
    return map(PastEvent._make, found.values_list(*PastEvent._fields))


def _organisations(tenant_id: UUID, tickets: Iterable[Ticket]) -> dict[UUID | None, UUID | None]:
    requesters = {ticket.requester_id for ticket in tickets if ticket.requester_id is not None}
    people = Person.objects.filter(tenant_id=tenant_id, pk__in=requesters)
    return dict(people.values_list("pk", "organisation_id"))


def _plain(rows: Iterable[Any], columns: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in columns} for row in rows]


def _course(
    tenant_id: UUID,
    ticket: Ticket,
    events: list[PastEvent],
    promises: Book,
    organisations: Mapping[UUID | None, UUID | None],
) -> Course:
    """The ticket's clocks after all of its events, each taken with the ticket as it was then."""
    then = _at_first(ticket, events)
    # Who answered is not recorded in what other systems export: states and assignments are.
    found = facts(ticket.kind, events, works=lambda event: event.actor_id != ticket.requester_id)
    if found and found[0].opened:
        # The first record may be of a moment after the opening, which it tells of; the promise is since then.
        found[0] = replace(found[0], at=min(found[0].at, to_micros(ticket.opened_at)))
    course = Course(
        tenant_id,
        then,
        lambda: promises,
        [],
        past=lambda: found,
        organisation=lambda: organisations.get(then.requester_id),
    )
    changes: dict[UUID | None, dict[str, Any]] = {event.pk: event.payload.get("changes") or {} for event in events}
    for fact in found:
        _apply(then, changes[fact.event_id])
        if fact.category is not None:
            then.state_category = fact.category
        course.take(fact)
    return course


def _at_first(ticket: Ticket, events: Iterable[PastEvent]) -> Ticket:
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
