"""The sweep: whoever has a threshold due, fires it. Any number of sweepers may run at once; each takes what no other holds.

One statement claims the rows, writes the ledger and advances the clocks, so that it happens as a whole or not at all, and
unique (clock, generation, step) makes a second firing impossible. It never locks a ticket: what a fire means to its ticket
is told afterwards, by fires.py.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, connections, transaction

from itsm.tenancy.context import tenant
from itsm.tenancy.roles import database_role

logger = logging.getLogger(__name__)

#: Clocks of one transaction. More make it no faster, and hold their locks longer.
BATCH = 500
#: A sweep that cannot come to an end answers after so many seconds, so that its lag is seen; the next one goes on.
BUDGET = 5.0
#: A row that fails so often is given up to a person: the auditor names it.
ALARM_AFTER = 5

# All that is due in a clock is fired at once. Only the last of it speaks; what it overtook is told with it. A clock that was
# paused or stopped in the meantime has no next_due_at, and PostgreSQL looks at the row again after it waited for its lock.
# The rows are found again by an array of ids: a join with ``due``, whose size the planner cannot know, reads the whole table.
_FIRE = """
WITH due AS (
  SELECT id, ticket_id, generation, step_due FROM sla_slaclock
  WHERE tenant_id = %(tenant)s AND next_due_at <= %(now)s {only}
  ORDER BY next_due_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED),
steps AS (
  SELECT due.id, due.ticket_id, due.generation, (s.number - 1)::smallint AS step, s.instant,
    row_number() OVER (PARTITION BY due.id ORDER BY s.instant DESC, s.number DESC) > 1 AS coalesced
  FROM due CROSS JOIN LATERAL unnest(due.step_due) WITH ORDINALITY AS s (instant, number) WHERE s.instant <= %(now)s),
fires AS (
  INSERT INTO sla_slafire
    (tenant_id, clock_id, ticket_id, generation, step, due_at, fired_at, coalesced, attempts, available_at)
  SELECT %(tenant)s, id, ticket_id, generation, step, instant, %(now)s, coalesced, 0, %(now)s
  FROM steps ORDER BY instant, id, step ON CONFLICT DO NOTHING RETURNING 1),
advanced AS (
  UPDATE sla_slaclock c SET
    step_due = ARRAY(SELECT CASE WHEN s.instant > %(now)s THEN s.instant END
      FROM unnest(c.step_due) WITH ORDINALITY AS s (instant, number) ORDER BY s.number),
    next_due_at = (SELECT min(s) FROM unnest(c.step_due) s WHERE s > %(now)s),
    fired = c.fired || ARRAY(SELECT (s.number - 1)::smallint
      FROM unnest(c.step_due) WITH ORDINALITY AS s (instant, number) WHERE s.instant <= %(now)s ORDER BY s.number),
    breached_at = coalesce(c.breached_at, CASE WHEN c.due_at <= %(now)s THEN c.due_at END),
    attempts = 0, last_error = ''
  WHERE c.tenant_id = %(tenant)s AND c.id = ANY (ARRAY(SELECT id FROM due)) RETURNING 1)
SELECT (SELECT count(*) FROM advanced), (SELECT count(*) FROM fires)
"""


@dataclass(frozen=True, slots=True)
class Due:
    """What the platform role sees: the database's time, who has something due, and when the next is."""

    now: datetime
    tenants: tuple[UUID, ...]
    next_due_at: datetime | None


@dataclass(slots=True)
class Swept:
    """What a sweep did. ``fired`` names the tenants whose tickets have to be told."""

    clocks: int = 0
    fires: int = 0
    failed: int = 0
    fired: frozenset[UUID] = frozenset()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of a table that become due, and the statement that takes those of one tenant and writes their fires.

    The table has ``tenant_id``, ``next_due_at``, ``attempts`` and ``last_error``; the statement answers how many rows it took
    and how many fires it wrote. ``what`` is their name in the log.
    """

    table: str
    statement: str
    what: str

    def look(self, now: datetime | None = None) -> Due:
        """Who has rows due. Without ``now``, it is the database's own time and no worker's clock."""
        with database_role("platform") as alias, transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            # Due ones are few or the backlog is long: then their tenants are found by jumping from one to the next.
            cursor.execute(
                f"SELECT coalesce(%(now)s::timestamptz, statement_timestamp()), min(next_due_at) FROM {self.table} "
                "WHERE next_due_at IS NOT NULL",
                {"now": now},
            )
            instant, first = cursor.fetchone()
            if first is None or first > instant:
                return Due(instant, (), first)
            cursor.execute(
                f"SELECT tenant_id FROM {self.table} WHERE next_due_at <= %(now)s "
                "GROUP BY tenant_id ORDER BY min(next_due_at)",
                {"now": instant},
            )
            return Due(instant, tuple(row[0] for row in cursor.fetchall()), first)

    def sweep(self, now: datetime | None = None, *, batch: int = BATCH, budget: float = BUDGET) -> Swept:
        """Fire everything that is due at ``now``. A tenant gets one batch before the next tenant's turn comes."""
        due, done = self.look(now), Swept()
        waiting, fired, until = list(due.tenants), set[UUID](), time.monotonic() + budget
        while waiting:
            again = []
            for tenant_id in waiting:
                clocks, fires, failed = self._batch(tenant_id, due.now, batch)
                done.clocks += clocks
                done.fires += fires
                done.failed += failed
                if fires:
                    fired.add(tenant_id)
                if clocks + failed >= batch:
                    again.append(tenant_id)
                if time.monotonic() > until:
                    done.complete = False
                    done.fired = frozenset(fired)
                    return done
            waiting = again
        done.fired = frozenset(fired)
        return done

    def _batch(self, tenant_id: UUID, now: datetime, limit: int) -> tuple[int, int, int]:
        """One batch of a tenant: rows, fires, and rows that could not be fired."""
        try:
            with tenant(tenant_id):
                return (*self.fire(tenant_id, now, limit), 0)
        except DatabaseError:
            # One row may stand in the way of all others: each gets a transaction of its own.
            logger.exception("a batch of %ss failed; firing one by one", self.what, extra={"tenant_id": str(tenant_id)})
            return self._one_by_one(tenant_id, now, limit)

    def fire(self, tenant_id: UUID, now: datetime, limit: int, only: UUID | None = None) -> tuple[int, int]:
        """Claim rows of the tenant in force, at most ``limit``: how many, and how many fires they have."""
        values: dict[str, Any] = {"tenant": tenant_id, "now": now, "limit": limit, "only": only}
        with connection.cursor() as cursor:
            cursor.execute(self.statement.format(only="AND id = %(only)s" if only else ""), values)
            rows, fires = cursor.fetchone()
        return rows, fires

    def _one_by_one(self, tenant_id: UUID, now: datetime, limit: int) -> tuple[int, int, int]:
        with tenant(tenant_id), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM {self.table} WHERE tenant_id = %s AND next_due_at <= %s ORDER BY next_due_at, id LIMIT %s",
                [tenant_id, now, limit],
            )
            waiting = [row[0] for row in cursor.fetchall()]
        rows = fires = failed = 0
        for row_id in waiting:
            try:
                with tenant(tenant_id):
                    one, its_fires = self.fire(tenant_id, now, 1, only=row_id)
                rows, fires = rows + one, fires + its_fires
            except DatabaseError as error:
                failed += 1
                self._park(tenant_id, row_id, now, error)
        return rows, fires, failed

    def _park(self, tenant_id: UUID, row_id: UUID, now: datetime, error: DatabaseError) -> None:
        """Look at a row that fails again later, ever later. Its instants stay as they are."""
        text = f"{type(error).__name__}: {error}".replace("\x00", "")[:300]
        with tenant(tenant_id), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.table} SET attempts = attempts + 1, last_error = %s, "
                "next_due_at = %s::timestamptz + least(interval '1 hour', interval '5 seconds' * 2 ^ least(attempts, 10)) "
                "WHERE tenant_id = %s AND id = %s AND next_due_at IS NOT NULL RETURNING attempts",
                [text, now, tenant_id, row_id],
            )
            row = cursor.fetchone()
        level = logging.ERROR if row is not None and row[0] >= ALARM_AFTER else logging.WARNING
        logger.log(
            level, "a %s cannot be fired", self.what, extra={"tenant_id": str(tenant_id), "clock_id": str(row_id)}
        )


CLOCKS = Claim("sla_slaclock", _FIRE, "clock")


def look(now: datetime | None = None) -> Due:
    """Who has clocks due."""
    return CLOCKS.look(now)


def sweep(now: datetime | None = None, *, batch: int = BATCH, budget: float = BUDGET) -> Swept:
    """Fire every clock that is due at ``now``."""
    return CLOCKS.sweep(now, batch=batch, budget=budget)
