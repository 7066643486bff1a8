"""How often work went from one team to another."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

#: The team after an event that says one: of recorded history, of an assignment, of an opening.
_TEAM = """
CASE WHEN e.kind = 'ticket.assigned' THEN e.payload->'team'->>1
     WHEN jsonb_typeof(e.payload->'changes'->'team') = 'array' THEN e.payload->'changes'->'team'->>1
     WHEN jsonb_typeof(e.payload->'team') = 'string' THEN e.payload->>'team' END
"""
_HANDOFFS = """
WITH cases AS MATERIALIZED ({cases}), said AS (
  SELECT e.ticket_id, e.sequence, {team} AS team FROM events_event e JOIN cases c ON c.id = e.ticket_id
  WHERE e.tenant_id = %s AND e.ticket_id IS NOT NULL AND (e.payload ? 'team' OR e.payload->'changes' ? 'team')
), moves AS (
  SELECT ticket_id, team, lag(team) OVER (PARTITION BY ticket_id ORDER BY sequence) AS before FROM said WHERE team IS NOT NULL
), each AS (
  SELECT count(*) FILTER (WHERE before <> team) AS moves, count(DISTINCT team) AS teams FROM moves GROUP BY ticket_id
)
SELECT coalesce(sum(moves), 0), count(*) FILTER (WHERE moves + 1 > teams) FROM each
"""


def handoffs(tenant_id: UUID, cases: QuerySet[Any]) -> tuple[int, int]:
    """How often the team changed, and in how many cases the work came back to a team that had had it before."""
    sql, parameters = cases.values("id").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_HANDOFFS.replace("{cases}", sql).replace("{team}", _TEAM), [*parameters, tenant_id])
        moves, returned = cursor.fetchone()
    return int(moves), int(returned)
