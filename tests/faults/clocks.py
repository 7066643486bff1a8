"""Many clocks for fault tests: copies of what one ticket got from its commands, due when the test says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, connections

from incidents.commands import open_incident
from itsm.kernel.actor import Actor
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket

CHECKOUT = Path(__file__).resolve().parents[2]
STEPS = 4


def fill(tenant_id: UUID, count: int, *, ago: float = 10.0, apart: float = 0.0, steps: int = 1) -> None:
    """``count`` tickets with a running resolution clock each, whose first ``steps`` thresholds were due ``ago`` seconds ago;
    the next ticket's ``apart`` seconds later. The other thresholds are an hour away."""
    source = open_incident(
        actor=Actor.system(tenant_id, "faults"), title="One of many", requester_id=_anybody(tenant_id)
    )
    columns = [field.column for field in Ticket._meta.concrete_fields if field.column not in ("id", "number")]
    with tenant(tenant_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '120s'")
        cursor.execute(
            f"""
            INSERT INTO tickets_ticket (id, number, {", ".join(columns)})
            SELECT gen_random_uuid(), 'F' || n, {", ".join(columns)} FROM tickets_ticket, generate_series(1, %s) n
            WHERE tenant_id = %s AND id = %s
            """,
            [count, tenant_id, source.pk],
        )
        cursor.execute(
            """
            INSERT INTO incidents_incident (ticket_id, tenant_id, hold_reason, close_code, close_notes)
            SELECT id, tenant_id, '', '', '' FROM tickets_ticket WHERE tenant_id = %s AND number LIKE 'F%%'
            """,
            [tenant_id],
        )
        cursor.execute(
            """
            INSERT INTO sla_slaclock (id, tenant_id, ticket_id, metric, policy_id, policy_version_id, calendar_version_id, promise,
              cycle, state, generation, target, elapsed, started_at, anchor_at, pause_reason, due_at, step_due, fired, next_due_at,
              attempts, last_error)
            SELECT gen_random_uuid(), c.tenant_id, t.id, c.metric, c.policy_id, c.policy_version_id, c.calendar_version_id,
              c.promise, 1, 'running', 1, c.target, 0, now() - interval '3 hours', now() - interval '3 hours', '',
              now() + interval '1 hour',
              (SELECT array_agg(CASE WHEN s <= %(steps)s THEN due + (s - 1) * interval '1 millisecond'
                ELSE now() + interval '1 hour' + s * interval '1 minute' END ORDER BY s) FROM generate_series(1, %(all)s) s),
              '{}', due, 0, ''
            FROM sla_slaclock c,
              (SELECT id, now() - %(ago)s * interval '1 second' + row_number() OVER () * %(apart)s * interval '1 second' AS due
               FROM tickets_ticket WHERE tenant_id = %(tenant)s AND number LIKE 'F%%') t
            WHERE c.tenant_id = %(tenant)s AND c.ticket_id = %(source)s AND c.metric = 'resolution'
            """,
            {"tenant": tenant_id, "source": source.pk, "steps": steps, "all": STEPS, "ago": ago, "apart": apart},
        )
        # The one that was copied shall not fire among them.
        cursor.execute(
            "UPDATE sla_slaclock SET next_due_at = NULL WHERE tenant_id = %s AND ticket_id = %s", [tenant_id, source.pk]
        )
    # What autovacuum does within a minute: plans made for an empty table would read all of it for each row.
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE tickets_ticket, incidents_incident, sla_slaclock")


def _anybody(tenant_id: UUID) -> UUID:
    with tenant(tenant_id):
        found: UUID = Person.objects.values_list("pk", flat=True).first()
    return found


def figures(tenant_id: UUID) -> dict[str, int]:
    """What stands in the database now."""
    with tenant(tenant_id), connection.cursor() as cursor:
        # Filled just now: the database knows nothing of these tables yet and believes that loops are cheap.
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL statement_timeout = '60s'")
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM sla_slafire),
              (SELECT count(*) FROM (SELECT DISTINCT clock_id, generation, step FROM sla_slafire) d),
              (SELECT count(*) FROM sla_slaclock WHERE next_due_at <= now()),
              (SELECT count(*) FROM sla_slafire f JOIN sla_slaclock c ON c.tenant_id = f.tenant_id AND c.id = f.clock_id
               WHERE NOT f.step = ANY (c.fired)),
              (SELECT count(*) FROM sla_slafire WHERE handled_at IS NULL),
              (SELECT count(*) FROM events_event WHERE kind LIKE 'sla.%%')
            """
        )
        names = ("fires", "distinct", "due", "orphans", "untold", "told")
        return dict(zip(names, cursor.fetchone(), strict=True))


@contextmanager
def process(environ: Mapping[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the product; killed at the end if it still runs."""
    running = subprocess.Popen(
        [sys.executable, *command],
        cwd=CHECKOUT,
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
        running.wait()


def sweeper(environ: Mapping[str, str]) -> Any:
    """manage.py sla_sweeper."""
    return process(environ, "manage.py", "sla_sweeper")


def until(true: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait until it is true; answers how long that took. Fails when it takes longer than ``seconds``."""
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"it did not come true within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - begun
