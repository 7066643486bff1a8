"""Clocks between their rows and the pure form that clock.py computes with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection

from itsm.sla.calendar import from_micros, to_micros
from itsm.sla.clock import Clock, ClockState
from itsm.sla.models import SlaClock, SlaClockEvent
from itsm.sla.terms import Terms
from itsm.tickets.models import Ticket

#: What an operation may change in a row.
FIELDS = (
    "policy", "policy_version", "calendar_version", "promise", "state", "generation", "target", "elapsed", "started_at",
    "anchor_at", "paused_at", "pause_reason", "stopped_at", "due_at", "breached_at", "step_due", "fired", "next_due_at",
    "attempts", "last_error",
)  # fmt: skip
_COLUMNS = [field.attname for field in SlaClock._meta.concrete_fields]
_ORGANISATION = "SELECT organisation_id FROM tenancy_person WHERE tenant_id = %s AND id = %s"
_OF_TICKET = f"""SELECT ({_ORGANISATION}), {", ".join(_COLUMNS)} FROM sla_slaclock
WHERE tenant_id = %s AND ticket_id = %s ORDER BY id FOR NO KEY UPDATE"""


def locked_clocks(ticket: Ticket) -> tuple[list[SlaClock], UUID | None]:
    """All clocks of a ticket whose row the caller has locked, oldest first, locked too; with its requester's organisation.

    Without clocks there is no organisation either: nothing ends that would keep it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OF_TICKET, [ticket.tenant_id, ticket.requester_id, ticket.tenant_id, ticket.pk])
        found = cursor.fetchall()
    rows = [SlaClock.from_db("default", _COLUMNS, row[1:]) for row in found]
    return rows, found[0][0] if found else None


def computed(row: SlaClock, terms: Terms) -> Clock:
    """The clock that this row is."""
    return Clock(
        state=ClockState(row.state),
        target=row.target,
        thresholds=terms.thresholds,
        started=to_micros(row.started_at),
        generation=row.generation,
        cycle=row.cycle,
        elapsed=row.elapsed,
        anchor=_micros(row.anchor_at),
        paused=_micros(row.paused_at),
        stopped=_micros(row.stopped_at),
        due=_micros(row.due_at),
        breached=_micros(row.breached_at),
        armed=tuple(_micros(instant) for instant in row.step_due),
        fired=frozenset(row.fired),
    )


def store(row: SlaClock, clock: Clock) -> None:
    """Put the clock into its row."""
    row.state, row.generation, row.target = clock.state.value, clock.generation, clock.target
    row.elapsed, row.started_at = clock.elapsed, from_micros(clock.started)
    row.anchor_at, row.paused_at, row.stopped_at = _at(clock.anchor), _at(clock.paused), _at(clock.stopped)
    row.due_at, row.breached_at = _at(clock.due), _at(clock.breached)
    row.step_due = [_at(instant) for instant in clock.armed]
    row.fired = sorted(clock.fired)
    row.next_due_at = _at(clock.next_due)
    row.attempts, row.last_error = 0, ""


def record(row: SlaClock, operation: str, at: int, reason: str, event_id: UUID | None) -> SlaClockEvent:
    """The event of the operation that has just been stored in ``row``."""
    return SlaClockEvent(
        tenant_id=row.tenant_id,
        clock_id=row.pk,
        generation=row.generation,
        operation=operation,
        at=from_micros(at),
        policy_version_id=row.policy_version_id,
        calendar_version_id=row.calendar_version_id,
        target=row.target,
        promise=row.promise,
        elapsed=row.elapsed,
        due_at=row.due_at,
        reason=reason[:40],
        event_id=event_id,
    )


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _at(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
