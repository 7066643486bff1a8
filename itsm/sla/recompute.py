"""Open clocks after their calendar changed: what they used up is banked by the old hours, the rest goes by the new ones.

In batches with a transaction each. A clock that was done names the new version, so whoever was interrupted goes on where he
was, and nobody does one twice. Tickets are locked before their clocks and in the order of their ids, as by everybody else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from itsm.kernel import clock
from itsm.kernel.ids import new_id
from itsm.sla import clock as clocks
from itsm.sla.book import business_time, terms_of
from itsm.sla.calendar import BusinessTime, from_micros, to_micros
from itsm.sla.clock import Clock, ClockState
from itsm.sla.models import SlaClock
from itsm.sla.rows import computed
from itsm.sla.targets import read_target
from itsm.tenancy.bulk import insert_rows, update_rows
from itsm.tenancy.context import tenant

logger = logging.getLogger(__name__)

#: Tickets that a command recomputes itself, before it answers; the rest follows by the event that it wrote.
AT_ONCE = 500
BATCH = 1000

# In no order: rows that are done leave the index, so that the next batch begins where this one ended.
_STALE = """
SELECT c.ticket_id FROM sla_slaclock c
WHERE c.tenant_id = %(tenant)s AND c.state IN ('running', 'paused') AND c.ticket_id <> ALL(%(without)s)
  AND c.calendar_version_id = ANY(%(old)s) LIMIT %(limit)s
"""
_NEWEST = """
SELECT v.id, first_value(v.id) OVER (PARTITION BY v.calendar_id ORDER BY v.version DESC)
FROM sla_slacalendarversion v WHERE v.tenant_id = %s
"""
_RUNNING = """
SELECT DISTINCT ticket_id FROM sla_slaclock
WHERE tenant_id = %(tenant)s AND state = 'running' AND ticket_id > %(after)s ORDER BY ticket_id LIMIT %(limit)s
"""
_LOCK = "SELECT id, due_at FROM tickets_ticket WHERE tenant_id = %s AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_COLUMNS = (
    "id", "ticket_id", "policy_version_id", "calendar_version_id", "promise", "state", "generation", "cycle", "target",
    "elapsed", "started_at", "anchor_at", "paused_at", "due_at", "breached_at", "step_due", "fired",
)  # fmt: skip
_CLOCKS = (
    f"SELECT {', '.join(_COLUMNS)} FROM sla_slaclock WHERE tenant_id = %s AND ticket_id = ANY(%s) "
    "AND state IN ('running', 'paused') ORDER BY ticket_id, id FOR NO KEY UPDATE"
)
_CLOCK_TYPES = {
    "id": "uuid", "calendar_version_id": "uuid", "generation": "int", "target": "bigint", "elapsed": "bigint",
    "anchor_at": "timestamptz", "due_at": "timestamptz", "breached_at": "timestamptz", "step_due": "timestamptz[]",
    "next_due_at": "timestamptz",
}  # fmt: skip
_EVENT_TYPES = {
    "id": "uuid", "clock_id": "uuid", "generation": "int", "policy_version_id": "uuid", "calendar_version_id": "uuid",
    "target": "bigint", "promise": "text", "elapsed": "bigint", "due_at": "timestamptz",
}  # fmt: skip


@dataclass(slots=True)
class Recomputed:
    """What a run did: clocks that go on by other hours, how many of them have another deadline, and whether all is done."""

    clocks: int = 0
    moved: int = 0
    failed: int = 0
    complete: bool = True


def recompute_calendars(tenant_id: UUID, *, most: int | None = None, budget: float | None = None) -> Recomputed:
    """Bring every open clock whose calendar has a newer version to that version. ``most`` tickets, for ``budget`` seconds."""
    done, bad, tickets = Recomputed(), list[UUID](), 0
    until = None if budget is None else time.monotonic() + budget
    while True:
        if (most is not None and tickets >= most) or (until is not None and time.monotonic() > until):
            done.complete = False
            return done
        size = BATCH if most is None else min(BATCH, most - tickets)

        def stale(newest: dict[UUID, UUID], limit: int = size) -> list[UUID]:
            old = [version for version, new in newest.items() if version != new]
            with connection.cursor() as cursor:
                cursor.execute(_STALE, {"tenant": tenant_id, "old": old, "without": bad, "limit": limit})
                return list(dict.fromkeys(row[0] for row in cursor.fetchall()))

        found = _batch(tenant_id, done, bad, stale, only_moved=False)
        tickets += len(found)
        if not found:
            return done


def recompute_all(tenant_id: UUID) -> Recomputed:
    """Compute every running clock anew by its hours, for the day on which a zone's rules changed. Writes what differs."""
    done, bad, after = Recomputed(), list[UUID](), UUID(int=0)
    recompute_calendars(tenant_id)
    while True:

        def running(_: dict[UUID, UUID], since: UUID = after) -> list[UUID]:
            with connection.cursor() as cursor:
                cursor.execute(_RUNNING, {"tenant": tenant_id, "after": since, "limit": BATCH})
                return [row[0] for row in cursor.fetchall()]

        found = _batch(tenant_id, done, bad, running, only_moved=True)
        if len(found) < BATCH:
            return done
        after = found[-1]


def _batch(
    tenant_id: UUID,
    done: Recomputed,
    bad: list[UUID],
    choose: Callable[[dict[UUID, UUID]], list[UUID]],
    *,
    only_moved: bool,
) -> list[UUID]:
    """One batch in a transaction; when it fails, each of its tickets in one of its own. Answers which were chosen."""
    found: list[UUID] = []
    try:
        with tenant(tenant_id):
            newest = _newest(tenant_id)
            found = choose(newest)
            clocks_done, moved = _recompute(tenant_id, found, newest, only_moved=only_moved)
        done.clocks, done.moved = done.clocks + clocks_done, done.moved + moved
    except Exception:
        if not found:
            raise
        logger.exception("a batch of clocks was not recomputed; one by one", extra={"tenant_id": str(tenant_id)})
        for ticket_id in found:
            try:
                with tenant(tenant_id):
                    clocks_done, moved = _recompute(tenant_id, [ticket_id], newest, only_moved=only_moved)
                done.clocks, done.moved = done.clocks + clocks_done, done.moved + moved
            except Exception:
                bad.append(ticket_id)
                done.failed += 1
                logger.exception("a ticket's clocks cannot be recomputed", extra={"ticket_id": str(ticket_id)})
    return found


def _newest(tenant_id: UUID) -> dict[UUID, UUID]:
    """The newest version of its calendar, for each version."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [tenant_id])
        return dict(cursor.fetchall())


def _recompute(
    tenant_id: UUID, tickets: Sequence[UUID], newest: dict[UUID, UUID], *, only_moved: bool
) -> tuple[int, int]:
    """Clocks that were written, and those of them with another deadline. The caller's transaction is the tenant's."""
    if not tickets:
        return 0, 0
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [tenant_id, list(tickets)])
        due_before = dict(cursor.fetchall())
        cursor.execute(_CLOCKS, [tenant_id, list(tickets)])
        rows = cursor.fetchall()
    now = clock.now()
    micros, moved, due, written = to_micros(now), 0, dict[UUID, datetime](), list[dict[str, Any]]()
    for row in rows:
        found = _Row(*row)
        stands, breached = found.due_at, found.breached_at
        version = newest.get(found.calendar_version_id, found.calendar_version_id)
        if only_moved or version != found.calendar_version_id:
            before = _clock(tenant_id, found)
            after = _on_hours(tenant_id, found, before, version, micros)
            if not only_moved or _differs(before, after):
                stands = None if after.due is None else from_micros(after.due)
                breached = None if after.breached is None else from_micros(after.breached)
                moved += stands != found.due_at
                written.append(_written(found, version, after, stands))
        # As Course.due_at has it: a deadline that passed before the clock was paused stays passed.
        spine = stands or breached
        if spine is not None and (found.ticket_id not in due or spine < due[found.ticket_id]):
            due[found.ticket_id] = spine
    _write(tenant_id, now, written)
    others = [{"id": pk, "due_at": due.get(pk)} for pk, before in due_before.items() if due.get(pk) != before]
    # A deadline that moves is no change of the ticket: whoever edits it is not disturbed.
    update_rows("tickets_ticket", {"id": "uuid", "due_at": "timestamptz"}, others, tenant_id)
    return len(written), moved


class _Row(NamedTuple):
    """The columns that are read; a model instance would cost as much as the computation."""

    id: UUID
    ticket_id: UUID
    policy_version_id: UUID
    calendar_version_id: UUID
    promise: str
    state: str
    generation: int
    cycle: int
    target: int
    elapsed: int
    started_at: datetime
    anchor_at: datetime | None
    paused_at: datetime | None
    due_at: datetime | None
    breached_at: datetime | None
    step_due: list[datetime | None]
    fired: list[int]


def _clock(tenant_id: UUID, row: _Row) -> Clock:
    """What rows.computed() gives for a row of the model."""
    return Clock(
        ClockState(row.state),
        row.target,
        terms_of(tenant_id, row.policy_version_id).thresholds,
        to_micros(row.started_at),
        row.generation,
        row.cycle,
        row.elapsed,
        None if row.anchor_at is None else to_micros(row.anchor_at),
        None if row.paused_at is None else to_micros(row.paused_at),
        None,
        None if row.due_at is None else to_micros(row.due_at),
        None if row.breached_at is None else to_micros(row.breached_at),
        tuple(None if instant is None else to_micros(instant) for instant in row.step_due),
        frozenset(row.fired),
    )


def on_hours(tenant_id: UUID, row: SlaClock, version_id: UUID, now: int, new: BusinessTime | None = None) -> Clock:
    """The clock of an open row as it goes on by these hours. ``new`` are hours that are not stored yet."""
    return _on_hours(tenant_id, row, computed(row, terms_of(tenant_id, row.policy_version_id)), version_id, now, new)


def _on_hours(
    tenant_id: UUID, row: SlaClock | _Row, found: Clock, version_id: UUID, now: int, new: BusinessTime | None = None
) -> Clock:
    old = business_time(tenant_id, row.calendar_version_id)
    new = new or business_time(tenant_id, version_id)
    if row.promise.endswith("bd"):
        # So many days are another span of work when the hours are others.
        work = read_target(row.promise).work(new, found.started)
        found = found if work is None else replace(found, target=work)
    return clocks.recalendar(found, now, old, new)


def _differs(before: Clock, after: Clock) -> bool:
    return before.state is ClockState.RUNNING and (before.due, before.armed, before.target) != (
        after.due, after.armed, after.target,
    )  # fmt: skip


def _written(row: _Row, version: UUID, after: Clock, due: datetime | None) -> dict[str, Any]:
    """What is to be stored of a clock, and what its event says."""
    return {
        "id": row.id,
        "clock_id": row.id,
        "policy_version_id": row.policy_version_id,
        "promise": row.promise,
        "calendar_version_id": version,
        "generation": after.generation,
        "target": after.target,
        "elapsed": after.elapsed,
        "anchor_at": None if after.anchor is None else from_micros(after.anchor),
        "due_at": due,
        "breached_at": None if after.breached is None else from_micros(after.breached),
        "step_due": [None if instant is None else from_micros(instant) for instant in after.armed],
        "next_due_at": None if (first := after.next_due) is None else from_micros(first),
    }


def _write(tenant_id: UUID, now: datetime, rows: Sequence[dict[str, Any]]) -> None:
    update_rows("sla_slaclock", _CLOCK_TYPES, rows, tenant_id)
    events = [{name: row[name] for name in _EVENT_TYPES if name != "id"} | {"id": new_id()} for row in rows]
    insert_rows(
        "sla_slaclockevent",
        _EVENT_TYPES,
        events,
        {"tenant_id": tenant_id, "operation": "calendar", "at": now, "reason": "hours", "event_id": None},
    )
