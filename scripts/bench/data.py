"""Fills the database: tenants, people, teams and tokens by the product's commands, tickets by set-based SQL of the owner.

The rows are those that the commands write: ticket, incident detail, events with their texts, clocks with theirs, search
document, number. Only the digests in the events are random: the chain of generated tickets does not verify, but costs what
a real one does. The clocks are in scripts/bench/clock_rows.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo

from scripts.bench.clock_rows import CLOCKS, Promised, columns, promised
from scripts.bench.vocabulary import COMMON, EVERY, MID, RARE, SIZE, words

#: Share of all tickets that each tenant has, in percent: half of all in one, half a percent in the smallest.
SHARES = (50, 12, 8, 6, 4, 3, 2.5, 2, 2, 1.5, 1.5, 1, 1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5)
AGENTS, TEAMS, SERVICES, CATEGORIES = 4, 8, 12, 15
CHUNK = 50_000
_SCOPES = ("incidents:read", "incidents:write")

_PEOPLE = """
INSERT INTO tenancy_person (id, tenant_id, name, email_key, language, time_zone, is_active, created_at)
SELECT uuidv7(), %(tenant)s, 'Caller ' || i, 'caller' || i || '@' || %(slug)s || '.example', '', '', true, now()
FROM generate_series(1, %(count)s) i
"""

# A text is 6 + 34 words, each the k-th of the vocabulary with a probability of about 1/k.
_TICKETS = """
INSERT INTO tickets_ticket (id, tenant_id, kind, number, title, description, state, state_category, impact, urgency, priority,
  requester_id, opened_by_id, assignee_id, team_id, service_id, category_id, channel, opened_at, updated_at, resolved_at,
  closed_at, due_at, reopen_count, reassignment_count, version, last_sequence, last_digest)
SELECT uuidv7(opened - clock_timestamp()), %(tenant)s, 'incident', 'INC' || lpad(i::text, 7, '0'), title,
  body || CASE WHEN i %% %(rare_every)s = 0 THEN %(rare)s ELSE '' END || CASE WHEN i %% %(mid_every)s = 0 THEN %(mid)s ELSE '' END
    || CASE WHEN i %% %(common_every)s = 0 THEN %(common)s ELSE '' END,
  state, (ARRAY['new','active','waiting','','','done','closed','canceled'])[state], impact, urgency,
  (ARRAY[1,2,3,2,3,4,3,4,5])[(impact - 1) * 3 + urgency], requester, requester,
  (CASE WHEN state > 1 THEN %(agents)s::uuid[] END)[1 + floor(random() * cardinality(%(agents)s::uuid[]))::int],
  (%(teams)s::uuid[])[1 + i %% cardinality(%(teams)s::uuid[])],
  (%(services)s::uuid[])[1 + floor(random() * cardinality(%(services)s::uuid[]))::int],
  (%(categories)s::uuid[])[1 + floor(random() * cardinality(%(categories)s::uuid[]))::int],
  'portal', opened, opened + interval '3 hours',
  CASE WHEN state IN (6, 7) THEN opened + interval '3 hours' END, CASE WHEN state >= 7 THEN opened + interval '7 days' END,
  -- Of what runs, one in four is overdue and has fired; nothing else is due for half a day.
  CASE WHEN state IN (1, 2) THEN CASE WHEN i %% 4 = 0 AND opened < now() - interval '3 days' THEN opened + interval '2 days'
    ELSE now() + (1 + 20 * random()) * interval '1 day' END END,
  0, 0, steps, steps, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
FROM (
  SELECT i, state, impact, urgency, requester, title, body, now() - (%(last)s - i) * interval '2 years' / %(count)s AS opened,
    CASE state WHEN 1 THEN 1 WHEN 2 THEN 2 ELSE 3 END AS steps
  FROM (
    SELECT i, (ARRAY[1,1,2,2,2,2,3,6,6,7,7,7,7,7,7,7,7,7,7,8])[1 + floor(random() * 20)::int] AS state,
      1 + floor(random() * 3)::int AS impact, 1 + floor(random() * 3)::int AS urgency,
      (%(callers)s::uuid[])[1 + floor(random() * cardinality(%(callers)s::uuid[]))::int] AS requester,
      (SELECT string_agg((%(words)s::text[])[floor(power(%(size)s, random()))::int], ' ') FROM generate_series(1, 6) WHERE i > 0)
        AS title,
      (SELECT string_agg((%(words)s::text[])[floor(power(%(size)s, random()))::int], ' ') FROM generate_series(1, 34) WHERE i > 0)
        AS body
    FROM generate_series(%(first)s::int, %(until)s::int) i OFFSET 0
  ) one OFFSET 0
) row
"""
_NEW = (
    "t.tenant_id = %(tenant)s AND t.number BETWEEN"
    " 'INC' || lpad(%(first)s::text, 7, '0') AND 'INC' || lpad(%(until)s::text, 7, '0')"
)
_HANGING = (
    f"""
    INSERT INTO incidents_incident (ticket_id, tenant_id, hold_reason, close_code, close_notes, resolved_by_id, closed_by_id)
    SELECT id, tenant_id, CASE WHEN state = 3 THEN 'awaiting_vendor' ELSE '' END,
      CASE WHEN state IN (6, 7) THEN 'solution_provided' ELSE '' END, CASE WHEN state IN (6, 7) THEN 'Put right.' ELSE '' END,
      CASE WHEN state IN (6, 7) THEN assignee_id END, CASE WHEN state = 7 THEN assignee_id END
    FROM tickets_ticket t WHERE {_NEW}
    """,
    f"""
    INSERT INTO tickets_ticketsearch (id, tenant_id, ticket_id, audience, words)
    SELECT gen_random_uuid(), tenant_id, id, 'public', number || ' ' || title || ' ' || description
    FROM tickets_ticket t WHERE {_NEW}
    """,
    f"""
    WITH step AS (
      SELECT t.*, s.sequence, uuidv7(opened_at + s.sequence * interval '1 hour' - clock_timestamp()) AS event
      FROM tickets_ticket t, generate_series(1, t.last_sequence) AS s(sequence) WHERE {_NEW}
    ), logged AS (
      INSERT INTO events_event (id, tenant_id, ticket_id, sequence, kind, version, actor_kind, actor_id, actor_label, depth,
        request_id, payload, occurred_at, recorded_at, previous_digest, digest)
      SELECT event, tenant_id, id, sequence,
        CASE WHEN sequence = 1 THEN 'incident.opened' WHEN sequence = 2 THEN 'incident.started' WHEN state = 3 THEN 'incident.held'
          WHEN state = 8 THEN 'incident.canceled' ELSE 'incident.resolved' END,
        1, 'token', coalesce(assignee_id, requester_id), '', 0, gen_random_uuid()::text,
        CASE WHEN sequence = 1 THEN jsonb_build_object('state', jsonb_build_array(NULL, 1), 'impact', impact, 'urgency', urgency,
            'priority', priority, 'requester', requester_id, 'channel', channel, 'service', service_id, 'category', category_id,
            'team', team_id, 'assignee', NULL,
            'texts', jsonb_build_object('title', encode(last_digest, 'hex'), 'description', encode(last_digest, 'hex')))
          WHEN sequence = 2 THEN jsonb_build_object('state', jsonb_build_array(1, 2))
          ELSE jsonb_build_object('state', jsonb_build_array(2, state), 'close_code', 'solution_provided') END,
        opened_at + sequence * interval '1 hour', opened_at + sequence * interval '1 hour',
        CASE WHEN sequence > 1 THEN last_digest END, last_digest
      FROM step
    )
    INSERT INTO events_eventtext (id, tenant_id, event_id, field, text, salt)
    SELECT gen_random_uuid(), tenant_id, event, field, CASE field WHEN 'title' THEN title ELSE description END,
      substr(last_digest, 1, 16)
    FROM step, unnest(ARRAY['title', 'description']) AS field WHERE sequence = 1
    """,
)
_TABLES = [
    "tickets_ticket",
    "incidents_incident",
    "tickets_ticketsearch",
    "events_event",
    "events_eventtext",
    "sla_slaclock",
    "sla_slaclockevent",
    "tenancy_person",
]


@dataclass(slots=True)
class Desk:
    """A tenant as the benchmark knows it. Its first ticket is number 1."""

    id: UUID
    slug: str
    count: int
    tokens: list[str] = field(default_factory=list)
    agents: list[UUID] = field(default_factory=list)
    users: list[UUID] = field(default_factory=list)
    teams: list[UUID] = field(default_factory=list)
    services: list[UUID] = field(default_factory=list)
    categories: list[UUID] = field(default_factory=list)
    promises: list[Promised] = field(default_factory=list)


def superuser() -> psycopg.Connection[Any]:
    """The embedded cluster's superuser."""
    import json
    from pathlib import Path

    state = json.loads((Path(os.environ["VIABLE_STATE"]) / "secrets.json").read_text(encoding="utf-8"))
    url = make_conninfo(os.environ["DATABASE_OWNER_URL"], user="postgres", password=state["postgres"])
    return psycopg.connect(url, autocommit=True)


@contextmanager
def owner() -> Iterator[psycopg.Connection[Any]]:
    """The owner, without foreign-key triggers: what the SQL above inserts refers to what is there."""
    with superuser() as admin:
        admin.execute("GRANT SET ON PARAMETER session_replication_role TO itsm_owner")
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        yield connection


def sizes(total: int) -> list[int]:
    """Tickets of each tenant."""
    return [max(40, int(total * share / 100)) for share in SHARES]


def make_desk(name: str, count: int) -> Desk:
    """A tenant with its people, teams, services and tokens, by commands."""
    from config.provision import create_tenant
    from itsm.access.actors import actor_of_person
    from itsm.access.commands import create_person, create_team, create_token, grant_role, invite_user
    from itsm.kernel.actor import Actor
    from itsm.tenancy.context import tenant
    from itsm.tenancy.models import User
    from itsm.tickets.commands.configuration import create_category, create_service

    made = create_tenant(name).tenant
    desk = Desk(made.pk, name, count)
    system = Actor.system(made.pk, "benchmark")
    desk.teams = [create_team(actor=system, name=f"Team {n}").pk for n in range(TEAMS)]
    for number in range(AGENTS):
        user = User.objects.create_user(f"agent{number}@{name}.example")
        person = create_person(actor=system, name=f"Agent {number} of {name}", email=user.email)
        invite_user(actor=system, person_id=person.pk, user=user)
        grant_role(actor=system, person_id=person.pk, role="agent")
        grant_role(actor=system, person_id=person.pk, role="agent", team_id=desk.teams[number % TEAMS])
        with tenant(made.pk):
            actor = actor_of_person(made.pk, person.pk)
        assert actor is not None
        desk.tokens.append(create_token(actor=actor, name="benchmark", scopes=_SCOPES)[1])
        desk.agents.append(person.pk)
        desk.users.append(user.pk)
    desk.services = [create_service(actor=system, name=f"Service {n}").pk for n in range(SERVICES)]
    desk.categories = [create_category(actor=system, name=f"Category {n}").pk for n in range(CATEGORIES)]
    desk.promises = promised(made.pk)
    return desk


def add_tickets(connection: psycopg.Connection[Any], desk: Desk) -> None:
    """All of a tenant's tickets and what hangs on them, in chunks."""
    common = {"tenant": desk.id, "slug": desk.slug}
    connection.execute(_PEOPLE, {**common, "count": max(20, desk.count // 50)})
    callers = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM tenancy_person WHERE tenant_id = %(tenant)s AND email_key LIKE 'caller%%'", common
        )
    ]
    fixed = {
        **common,
        "agents": desk.agents,
        "teams": desk.teams,
        "services": desk.services,
        "categories": desk.categories,
        "callers": callers,
        "words": words(),
        "size": SIZE,
        "count": desk.count,
        "last": desk.count,
        "rare": f" {RARE}",
        "mid": f" {MID}",
        "common": f" {COMMON}",
        "rare_every": EVERY[RARE],
        "mid_every": EVERY[MID],
        "common_every": EVERY[COMMON],
        **columns(desk.promises),
    }
    for first in range(1, desk.count + 1, CHUNK):
        part = {**fixed, "first": first, "until": min(desk.count, first + CHUNK - 1)}
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute(_TICKETS, part)
            for statement in (*_HANGING, CLOCKS.format(new=_NEW)):
                cursor.execute(statement, part)
    connection.execute(
        "UPDATE tickets_numberseries SET last_value = greatest(last_value, %(count)s) WHERE tenant_id = %(tenant)s",
        {**common, "count": desk.count},
    )


def fill(total: int, say: Any) -> list[Desk]:
    """All tenants with all tickets, vacuumed and analysed. ``say`` hears how it goes."""
    begun = time.monotonic()
    desks = [make_desk(f"desk-{number:02d}", count) for number, count in enumerate(sizes(total), 1)]
    say(f"{len(desks)} tenants by commands: {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    with owner() as connection:
        for desk in desks:
            add_tickets(connection, desk)
        say(f"{sum(desk.count for desk in desks)} tickets by SQL: {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        for table in _TABLES:
            connection.execute(f"VACUUM (ANALYZE) {table}")
        connection.execute("ANALYZE")
        say(f"vacuum and analyse: {time.monotonic() - begun:.0f} s")
    return desks
