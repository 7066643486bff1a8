"""The SQL of each operation with nothing around it. The raw endpoint and pgbench run these same statements.

Parameters are written ``{name}``: ``for_psycopg()`` and ``for_pgbench()`` put in each program's own marks.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"\{(\w+)\}")

ENTER = "SELECT set_config('itsm.tenant', itsm_tenant_of_token({hash}::bytea)::text, true)"

#: What the product asks before it lets a token in: the token, its maker's membership, login and grants, hidden teams.
TOKEN = """
SELECT k.id, k.person_id, k.scopes, k.last_used_at,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(g.role, g.process, g.team_id)), '[]') FROM access_rolegrant g
    WHERE g.tenant_id = k.tenant_id AND g.person_id = k.person_id AND (g.valid_until IS NULL OR g.valid_until > now())),
  (SELECT coalesce(jsonb_agg(t.id), '[]') FROM tenancy_team t
    WHERE t.tenant_id = k.tenant_id AND t.is_restricted AND NOT EXISTS (SELECT FROM access_rolegrant g
      WHERE g.tenant_id = k.tenant_id AND g.team_id = t.id AND g.person_id = k.person_id
        AND (g.valid_until IS NULL OR g.valid_until > now())))
FROM access_apitoken k
JOIN tenancy_tenant d ON d.id = k.tenant_id AND d.is_active
JOIN tenancy_membership m ON m.tenant_id = k.tenant_id AND m.person_id = k.person_id AND m.is_active
  AND (m.valid_until IS NULL OR m.valid_until > now())
JOIN tenancy_user u ON u.id = m.user_id AND u.is_active
JOIN tenancy_person p ON p.tenant_id = k.tenant_id AND p.id = k.person_id AND p.is_active AND p.erased_at IS NULL
WHERE k.tenant_id = current_setting('itsm.tenant')::uuid AND k.secret_hash = {hash}::bytea AND k.revoked_at IS NULL
  AND (k.expires_at IS NULL OR k.expires_at > now())
"""

COLUMNS = """
t.id, t.number, t.title, t.description, t.state, t.state_category, nullif(i.hold_reason, ''), t.impact, t.urgency, t.priority,
t.requester_id, requester.name, t.assignee_id, assignee.name, t.team_id, team.name, t.service_id, service.name,
t.category_id, category.name, t.channel, t.opened_at, t.updated_at, t.due_at, t.resolved_at, t.closed_at,
nullif(i.close_code, ''), nullif(i.close_notes, ''), t.reopen_count, t.version, t.opened_by_id, t.parent_id, t.duplicate_of_id,
t.reassignment_count,
t.last_sequence, t.last_digest, t.tenant_id
"""

_SOURCES = """
FROM tickets_ticket t
JOIN incidents_incident i ON i.tenant_id = t.tenant_id AND i.ticket_id = t.id
LEFT JOIN tenancy_person requester ON requester.tenant_id = t.tenant_id AND requester.id = t.requester_id
LEFT JOIN tenancy_person assignee ON assignee.tenant_id = t.tenant_id AND assignee.id = t.assignee_id
LEFT JOIN tenancy_team team ON team.tenant_id = t.tenant_id AND team.id = t.team_id
LEFT JOIN tickets_service service ON service.tenant_id = t.tenant_id AND service.id = t.service_id
LEFT JOIN tickets_category category ON category.tenant_id = t.tenant_id AND category.id = t.category_id
"""
_HERE = "t.tenant_id = current_setting('itsm.tenant')::uuid"

GET = f"SELECT {COLUMNS} {_SOURCES} WHERE {_HERE} AND t.kind = 'incident' AND t.id = {{ticket}}::uuid"
LOCK = f"{GET} FOR NO KEY UPDATE OF t"
CHILDREN = (
    "SELECT id FROM tickets_ticket t WHERE " + _HERE + " AND parent_id = {ticket}::uuid ORDER BY id FOR NO KEY UPDATE"
)

#: Joined after the page is chosen: fifty names are looked up, not thousands.
_PAGE = f"SELECT {COLUMNS} {_SOURCES}".replace("FROM tickets_ticket t", "FROM chosen t")

LIST = f"""
WITH chosen AS MATERIALIZED (
  SELECT * FROM tickets_ticket t
  WHERE {_HERE} AND t.kind = 'incident' AND t.state_category IN ('new', 'active', 'waiting') AND t.team_id = {{team}}::uuid
  ORDER BY t.priority, t.id DESC LIMIT 51
)
{_PAGE} ORDER BY t.priority, t.id DESC
"""

SEARCH = f"""
WITH chosen AS MATERIALIZED (
  SELECT t.* FROM itsm_search({{word}}, NULL, NULL, '{{}}', {{person}}::uuid, 500) AS hit
  JOIN tickets_ticket t ON {_HERE} AND t.kind = 'incident' AND t.id = hit.ticket_id
  ORDER BY t.opened_at DESC, t.id DESC LIMIT 51
)
{_PAGE} ORDER BY t.opened_at DESC, t.id DESC
"""

LINKS = """
SELECT l.id, l.kind, l.source_id, l.target_id FROM tickets_ticketlink l
WHERE l.tenant_id = current_setting('itsm.tenant')::uuid
  AND (l.source_id = ANY ({tickets}::uuid[]) OR l.target_id = ANY ({tickets}::uuid[]))
"""

#: Everything that an incident refers to, looked up at once.
REFERENCES = """
SELECT p.name, s.name, c.name, m.name, r.priority, k.prefix
FROM tenancy_person p
JOIN tickets_service s ON s.tenant_id = p.tenant_id AND s.id = {service}::uuid AND s.is_active
JOIN tickets_category c ON c.tenant_id = p.tenant_id AND c.id = {category}::uuid AND c.is_active
JOIN tenancy_team m ON m.tenant_id = p.tenant_id AND m.id = {team}::uuid AND m.is_active
JOIN tickets_priorityrule r ON r.tenant_id = p.tenant_id AND r.impact = {impact}::int AND r.urgency = {urgency}::int
JOIN tickets_workkind k ON k.tenant_id = p.tenant_id AND k.key = 'incident'
WHERE p.tenant_id = current_setting('itsm.tenant')::uuid AND p.id = {person}::uuid AND p.is_active
"""

#: In a transaction of its own, as in the product: one busy tenant must not queue on this row.
NUMBER = """
UPDATE tickets_numberseries SET last_value = last_value + 1
WHERE tenant_id = current_setting('itsm.tenant')::uuid AND kind = 'incident' RETURNING last_value
"""

#: What the tenant promises now (the statement of itsm/sla/book.py).
BOOK = """
SELECT 'policy', p.id, (SELECT v.id FROM sla_slapolicyversion v WHERE v.tenant_id = p.tenant_id AND v.policy_id = p.id
    ORDER BY v.version DESC LIMIT 1), p.position, p.metric
  FROM sla_slapolicy p WHERE p.tenant_id = current_setting('itsm.tenant')::uuid AND p.is_active
UNION ALL
SELECT 'calendar', c.id, (SELECT v.id FROM sla_slacalendarversion v WHERE v.tenant_id = c.tenant_id AND v.calendar_id = c.id
    ORDER BY v.version DESC LIMIT 1), 0, ''
  FROM sla_slacalendar c WHERE c.tenant_id = current_setting('itsm.tenant')::uuid
ORDER BY 4, 2
"""

#: The clocks of a ticket, all that the product reads of them.
CLOCKS = """
SELECT id, tenant_id, ticket_id, metric, team_id, policy_id, policy_version_id, calendar_version_id, promise, cycle, state,
  generation, target, elapsed, started_at, anchor_at, paused_at, pause_reason, stopped_at, due_at, breached_at, step_due, fired,
  next_due_at, attempts, last_error
FROM sla_slaclock WHERE tenant_id = current_setting('itsm.tenant')::uuid AND ticket_id = {ticket}::uuid
ORDER BY id FOR NO KEY UPDATE
"""

#: Deadlines are a fixed span from now, thresholds shares of it: nobody counts business time here.
HOURS = {"response": 4, "resolution": 24}


def _due(metric: str, share: str = "1") -> str:
    return f"{{now}}::timestamptz + interval '{HOURS[metric]} hours' * {share}"


def _steps(metric: str) -> str:
    return f"ARRAY[{', '.join(_due(metric, share) for share in ('0.5', '0.75', '0.9', '1'))}]"


def _clock(metric: str) -> str:
    return f"""({{{metric}_clock}}::uuid, {{tenant}}::uuid, {{ticket}}::uuid, '{metric}', {{{metric}_policy}}::uuid,
      {{{metric}_version}}::uuid, {{calendar}}::uuid, '{HOURS[metric]}h', 1, 'running', 1, 86400000000, 0, {{now}}::timestamptz,
      {{now}}::timestamptz, '', {_due(metric)}, {_steps(metric)}, ARRAY[]::smallint[], {_due(metric, "0.5")}, 0, '')"""


CREATE = f"""
WITH t AS (
  INSERT INTO tickets_ticket (id, tenant_id, kind, number, title, description, state, state_category, impact, urgency, priority,
    requester_id, opened_by_id, team_id, service_id, category_id, channel, opened_at, updated_at, due_at, reopen_count,
    reassignment_count, version, last_sequence, last_digest)
  VALUES ({{ticket}}::uuid, {{tenant}}::uuid, 'incident', {{number}}, {{title}}, {{description}}, 1, 'new',
    {{impact}}::int, {{urgency}}::int, {{priority}}::int,
    {{person}}::uuid, {{person}}::uuid, {{team}}::uuid, {{service}}::uuid, {{category}}::uuid, 'api',
    {{now}}::timestamptz, {{now}}::timestamptz, {_due("response")}, 0, 0, 1, 1, {{digest}}::bytea)
), i AS (
  INSERT INTO incidents_incident (ticket_id, tenant_id, hold_reason, close_code, close_notes)
  VALUES ({{ticket}}::uuid, {{tenant}}::uuid, '', '', '')
), e AS (
  INSERT INTO events_event (id, tenant_id, ticket_id, sequence, kind, version, actor_kind, actor_id, actor_label, depth,
    request_id, payload, occurred_at, recorded_at, digest)
  VALUES ({{event}}::uuid, {{tenant}}::uuid, {{ticket}}::uuid, 1, 'incident.opened', 1, 'token', {{person}}::uuid, {{token}}, 0,
    {{request}}, {{payload}}::jsonb, {{now}}::timestamptz, {{now}}::timestamptz, {{digest}}::bytea)
), x AS (
  INSERT INTO events_eventtext (id, tenant_id, event_id, field, text, salt)
  VALUES (gen_random_uuid(), {{tenant}}::uuid, {{event}}::uuid, 'title', {{title}}, {{salt}}::bytea),
    (gen_random_uuid(), {{tenant}}::uuid, {{event}}::uuid, 'description', {{description}}, {{salt}}::bytea)
), c AS (
  INSERT INTO sla_slaclock (id, tenant_id, ticket_id, metric, policy_id, policy_version_id, calendar_version_id, promise, cycle,
    state, generation, target, elapsed, started_at, anchor_at, pause_reason, due_at, step_due, fired, next_due_at, attempts,
    last_error)
  VALUES {_clock("response")},
    {_clock("resolution")}
  RETURNING *
), o AS (
  INSERT INTO sla_slaclockevent (id, tenant_id, clock_id, generation, operation, at, policy_version_id, calendar_version_id,
    target, promise, elapsed, due_at, reason, event_id)
  SELECT uuidv7(), tenant_id, id, 1, 'start', {{now}}::timestamptz, policy_version_id, calendar_version_id, target, promise, 0,
    due_at, '', {{event}}::uuid FROM c
)
INSERT INTO events_outbox (tenant_id, event_id, created_at) VALUES ({{tenant}}::uuid, {{event}}::uuid, {{now}}::timestamptz)
"""

#: On hold for a vendor, or back to work. {clocks} are those that pause and resume.
VERB = f"""
WITH t AS (
  UPDATE tickets_ticket SET state = {{state}}::int, state_category = {{state_category}}, version = version + 1,
    updated_at = {{now}}::timestamptz, last_sequence = last_sequence + 1, last_digest = {{digest}}::bytea,
    due_at = CASE WHEN {{state}}::int = 2 THEN {_due("resolution")} END
  WHERE tenant_id = {{tenant}}::uuid AND id = {{ticket}}::uuid
), i AS (
  UPDATE incidents_incident SET hold_reason = {{hold_reason}} WHERE tenant_id = {{tenant}}::uuid AND ticket_id = {{ticket}}::uuid
), e AS (
  INSERT INTO events_event (id, tenant_id, ticket_id, sequence, kind, version, actor_kind, actor_id, actor_label, depth,
    request_id, payload, occurred_at, recorded_at, previous_digest, digest)
  VALUES ({{event}}::uuid, {{tenant}}::uuid, {{ticket}}::uuid, {{sequence}}::int, {{kind}}, 1, 'token', {{person}}::uuid,
    {{token}}, 0, {{request}}, {{payload}}::jsonb, {{now}}::timestamptz, {{now}}::timestamptz,
    {{previous}}::bytea, {{digest}}::bytea)
), c AS (
  UPDATE sla_slaclock SET state = CASE WHEN {{state}}::int = 3 THEN 'paused' ELSE 'running' END, generation = generation + 1,
    elapsed = elapsed + coalesce(extract(epoch FROM {{now}}::timestamptz - anchor_at) * 1000000, 0)::bigint,
    anchor_at = CASE WHEN {{state}}::int = 2 THEN {{now}}::timestamptz END,
    paused_at = CASE WHEN {{state}}::int = 3 THEN {{now}}::timestamptz END, pause_reason = {{hold_reason}},
    due_at = CASE WHEN {{state}}::int = 2 THEN {_due("resolution")} END,
    step_due = CASE WHEN {{state}}::int = 2 THEN {_steps("resolution")} ELSE ARRAY[]::timestamptz[] END,
    next_due_at = CASE WHEN {{state}}::int = 2 THEN {_due("resolution", "0.5")} END
  WHERE tenant_id = {{tenant}}::uuid AND id = ANY ({{clocks}}::uuid[]) RETURNING *
), o AS (
  INSERT INTO sla_slaclockevent (id, tenant_id, clock_id, generation, operation, at, policy_version_id, calendar_version_id,
    target, promise, elapsed, due_at, reason, event_id)
  SELECT uuidv7(), tenant_id, id, generation, CASE WHEN {{state}}::int = 3 THEN 'pause' ELSE 'resume' END,
    {{now}}::timestamptz, policy_version_id, calendar_version_id, target, promise, elapsed, due_at, {{hold_reason}},
    {{event}}::uuid FROM c
)
INSERT INTO events_outbox (tenant_id, event_id, created_at) VALUES ({{tenant}}::uuid, {{event}}::uuid, {{now}}::timestamptz)
"""


def for_psycopg(statement: str) -> str:
    """The statement with ``%(name)s``."""
    return _NAME.sub(r"%(\1)s", statement)


def for_pgbench(statement: str) -> str:
    """The statement with ``:name``, on one line."""
    return " ".join(_NAME.sub(r":\1", statement).split())
