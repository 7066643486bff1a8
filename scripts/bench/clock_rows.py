"""The clocks of generated tickets: two for each open one and for every tenth that is closed, with what has happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

METRICS = ("response", "resolution")
#: For what clocks wait here: what verbs of the benchmark hold tickets for must cost what a pause costs.
PAUSE = ["awaiting_caller", "awaiting_vendor"]
_DAY = 8 * 3600


@dataclass(frozen=True, slots=True)
class Promised:
    """What a priority is promised for one metric. ``target`` is in microseconds of business time."""

    metric: str
    priority: int
    promise: str
    target: int
    policy: UUID
    version: UUID
    calendar: UUID


def promised(tenant_id: UUID) -> list[Promised]:
    """Publish the tenant's policies anew, so that they wait for vendors as well, and say what each priority is promised."""
    from itsm.sla.book import book, terms_of
    from itsm.sla.models import SlaPolicyVersion
    from itsm.sla.terms import Facets
    from itsm.tenancy.context import tenant

    found = []
    with tenant(tenant_id):
        for first in SlaPolicyVersion.objects.filter(version=1):
            terms = {**first.terms, "pause": PAUSE}
            SlaPolicyVersion.objects.create(tenant_id=tenant_id, policy_id=first.policy_id, version=2, terms=terms)
        now = book(tenant_id)
        for metric in METRICS:
            policy, version = now.policies[metric][0]
            said = terms_of(tenant_id, version)
            for priority in range(1, 6):
                row = said.row_for(Facets({"priority": frozenset({str(priority)})}))
                assert row is not None
                target = 1_000_000 * (row.target.seconds or row.target.days * _DAY)
                calendar = now.calendars[row.calendar or said.calendar]
                found.append(Promised(metric, priority, row.promise, target, policy, version, calendar))
    return found


def columns(promises: Sequence[Promised]) -> dict[str, list[Any]]:
    """The promises as arrays, a parameter each."""
    names = ("metric", "priority", "promise", "target", "policy", "version", "calendar")
    return {f"p_{name}": [getattr(promise, name) for promise in promises] for name in names}


# A clock of a ticket in progress has been answered; one of a ticket on hold waits. Deadlines are the ticket's own, without
# business time. Those that have passed fired when they did; all others are at least half a day away: nothing is due.
CLOCKS = """
WITH made AS (
  INSERT INTO sla_slaclock (id, tenant_id, ticket_id, metric, policy_id, policy_version_id, calendar_version_id, promise, cycle,
    state, generation, target, elapsed, started_at, anchor_at, paused_at, pause_reason, stopped_at, due_at, breached_at,
    step_due, fired, next_due_at, attempts, last_error)
  SELECT uuidv7(opened_at - clock_timestamp()), tenant_id, id, metric, policy, policy_version, calendar, promise, 1,
    s, CASE WHEN s = 'running' THEN 1 ELSE 2 END, target, CASE WHEN s = 'running' THEN 0 ELSE target / 4 END, opened_at,
    CASE WHEN s = 'running' THEN now() END, CASE WHEN s = 'paused' THEN opened_at + interval '1 hour' END,
    CASE WHEN s = 'paused' THEN 'awaiting_vendor' ELSE '' END,
    CASE WHEN s IN ('met', 'canceled') THEN opened_at + interval '1 hour' END,
    CASE WHEN s = 'running' THEN due END, CASE WHEN s = 'running' AND due < now() THEN due END,
    CASE WHEN s <> 'running' THEN ARRAY[]::timestamptz[] WHEN due < now() THEN array_fill(NULL::timestamptz, ARRAY[4])
      ELSE ARRAY[now() + (due - now()) * 0.5, now() + (due - now()) * 0.75, now() + (due - now()) * 0.9, due] END,
    CASE WHEN s = 'running' AND due < now() THEN ARRAY[0, 1, 2, 3]::smallint[] ELSE ARRAY[]::smallint[] END,
    CASE WHEN s = 'running' AND due > now() THEN now() + (due - now()) * 0.5 END, 0, ''
  FROM (
    SELECT t.*, p.*,
      CASE WHEN t.state = 8 THEN 'canceled' WHEN t.state > 3 OR p.metric = 'response' AND t.state > 1 THEN 'met'
        WHEN t.state = 3 THEN 'paused' ELSE 'running' END AS s,
      t.due_at + CASE WHEN p.metric = 'resolution' AND t.due_at > now() THEN interval '1 day' ELSE interval '0' END AS due
    FROM tickets_ticket t JOIN unnest(%(p_metric)s::text[], %(p_priority)s::int[], %(p_promise)s::text[],
      %(p_target)s::bigint[], %(p_policy)s::uuid[], %(p_version)s::uuid[], %(p_calendar)s::uuid[])
      AS p (metric, of_priority, promise, target, policy, policy_version, calendar)
      ON p.of_priority = t.priority
    WHERE {new} AND (t.state < 6 OR right(t.number, 1) = '0')
  ) of_ticket
  RETURNING *
)
INSERT INTO sla_slaclockevent (id, tenant_id, clock_id, generation, operation, at, policy_version_id, calendar_version_id,
  target, promise, elapsed, due_at, reason)
SELECT gen_random_uuid(), tenant_id, id, number,
  CASE WHEN number = 1 THEN 'start' WHEN state = 'paused' THEN 'pause' WHEN state = 'canceled' THEN 'cancel' ELSE 'stop' END,
  CASE WHEN number = 1 THEN started_at ELSE started_at + interval '1 hour' END, policy_version_id, calendar_version_id,
  target, promise, CASE WHEN number = 1 THEN 0 ELSE elapsed END, CASE WHEN number = 1 THEN due_at END, pause_reason
FROM made, generate_series(1, made.generation) AS step (number)
"""
