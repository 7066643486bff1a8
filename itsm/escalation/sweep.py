"""Claiming runs that are due: one statement writes the ledger and takes each run in hand, until its step is told (fires.py)."""

from __future__ import annotations

from itsm.sla.sweep import Claim

# One step per run and sweep: the first; or, after an outage, the last overdue one that tells somebody. Only when nothing else is
# left is the run exhausted. The run has no next instant from here on: whoever tells the step gives it one. A run that was
# stopped in the meantime has none either, and PostgreSQL looks at the row again after it waited for its lock.
_CLAIM = """
WITH due AS (
  SELECT id, ticket_id, state, generation, loop, last_step, speaking, step_due FROM escalation_escalationrun
  WHERE tenant_id = %(tenant)s AND next_due_at <= %(now)s {only}
  ORDER BY next_due_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED),
overdue AS (
  SELECT due.id, (s.number - 1)::smallint AS step, s.instant FROM due
  CROSS JOIN LATERAL unnest(due.step_due) WITH ORDINALITY AS s (instant, number) WHERE s.instant <= %(now)s),
chosen AS (
  SELECT due.id, CASE WHEN min(o.instant) >= %(now)s::timestamptz - interval '60 seconds' THEN min(o.step) ELSE coalesce(
    max(o.step) FILTER (WHERE o.step = ANY (due.speaking)), max(o.step) FILTER (WHERE o.step < due.last_step), max(o.step)
  ) END AS step FROM due JOIN overdue o ON o.id = due.id GROUP BY due.id),
fires AS (
  INSERT INTO escalation_escalationfire
    (tenant_id, run_id, ticket_id, generation, loop, step, due_at, fired_at, skipped, outcome, attempts, available_at)
  SELECT %(tenant)s, due.id, due.ticket_id, due.generation, due.loop,
    CASE WHEN due.state = 'acknowledged' THEN -1 ELSE o.step END, o.instant, %(now)s,
    coalesce((SELECT array_agg(b.step ORDER BY b.step) FROM overdue b WHERE b.id = o.id AND b.step < o.step), '{{}}'),
    '', 0, %(now)s
  FROM due JOIN chosen ON chosen.id = due.id JOIN overdue o ON o.id = due.id AND o.step = chosen.step
  ORDER BY o.instant, due.id ON CONFLICT DO NOTHING RETURNING 1),
taken AS (
  UPDATE escalation_escalationrun r SET next_due_at = NULL, attempts = 0, last_error = ''
  WHERE r.tenant_id = %(tenant)s AND r.id = ANY (ARRAY(SELECT id FROM due)) RETURNING 1)
SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM fires)
"""

RUNS = Claim("escalation_escalationrun", _CLAIM, "escalation")
