"""From a signed-in user or a token to an Actor: the one place where rights are loaded."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from itsm.access.models import ApiToken
from itsm.kernel import clock
from itsm.kernel.actor import Actor, ActorKind, Grant
from itsm.tenancy.lookup import active_tenant
from itsm.tenancy.models import Tenant

TOKEN_PREFIX = "vbl_"  # noqa: S105 - what secret scanners look for, not a secret

# Whoever has chosen no zone reads in the tenant's; asking for it here saves every request a query of its own. (A language that
# nobody has chosen is the one that the browser asks for.)
_PERSON = """
p.id, p.name, p.language,
  coalesce(nullif(p.time_zone, ''), (SELECT s.time_zone FROM tenancy_tenantsettings s WHERE s.tenant_id = p.tenant_id)),
  (SELECT coalesce(jsonb_agg(jsonb_build_array(g.role, g.process, g.team_id)), '[]'::jsonb) FROM access_rolegrant g
    WHERE g.tenant_id = p.tenant_id AND g.person_id = p.id AND (g.valid_until IS NULL OR g.valid_until > %(now)s)),
  (SELECT coalesce(jsonb_agg(t.id), '[]'::jsonb) FROM tenancy_team t
    WHERE t.tenant_id = p.tenant_id AND t.is_restricted AND NOT EXISTS (SELECT 1 FROM access_rolegrant m
      WHERE m.tenant_id = p.tenant_id AND m.team_id = t.id AND m.person_id = p.id
        AND (m.valid_until IS NULL OR m.valid_until > %(now)s)))
"""
_ABLE = "p.is_active AND p.erased_at IS NULL"
_MEMBER = """
tenancy_membership m JOIN tenancy_person p ON p.tenant_id = m.tenant_id AND p.id = m.person_id AND p.is_active
"""
_MEMBER_NOW = "m.is_active AND (m.valid_until IS NULL OR m.valid_until > %(now)s)"

_OF_PERSON = f"SELECT {_PERSON} FROM tenancy_person p WHERE p.tenant_id = %(tenant)s AND p.id = %(person)s AND {_ABLE}"
_NOTHING_UNREAD = "0 AS unread"
_OF_USER = f"""
SELECT {_PERSON}, p.shortcuts, p.split_queue,
  (SELECT s.language FROM tenancy_tenantsettings s WHERE s.tenant_id = p.tenant_id), {_NOTHING_UNREAD}
FROM {_MEMBER} WHERE m.tenant_id = %(tenant)s AND m.user_id = %(user)s AND {_MEMBER_NOW} AND {_ABLE}
"""
_OF_TOKEN = f"""
SELECT {_PERSON}, k.id, k.scopes, k.last_used_at
FROM access_apitoken k JOIN {_MEMBER} ON m.tenant_id = k.tenant_id AND m.person_id = k.person_id
JOIN tenancy_user u ON u.id = m.user_id AND u.is_active
WHERE k.tenant_id = %(tenant)s AND k.secret_hash = %(hash)s AND k.revoked_at IS NULL
  AND (k.expires_at IS NULL OR k.expires_at > %(now)s) AND {_MEMBER_NOW} AND {_ABLE}
"""


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a person likes the pages. Rights know nothing of it; it comes along with the actor, where there are pages."""

    #: Single keys (J, K, O …) do something.
    shortcuts: bool = True
    #: The queue shows list and ticket side by side.
    split_queue: bool = True
    #: The language of the desk; None where nobody has said it.
    desk_language: str | None = None
    #: How much stands unread in the inbox, up to 100.
    unread: int = 0


def count_unread(expression: str) -> None:
    """Say how the unread of a person ``p`` are counted, in SQL; nobody has any until the room that knows is connected.

    Asked along with the rights: a statement of its own would cost every page more than the count does.
    """
    global _OF_USER
    _OF_USER = _OF_USER.replace(_NOTHING_UNREAD, expression)


def actor_of_person(tenant_id: UUID, person_id: UUID) -> Actor | None:
    """The person as an actor with its current grants, in one query; None for somebody disabled or erased."""
    row = _row(_OF_PERSON, tenant=tenant_id, person=person_id)
    return None if row is None else _actor(tenant_id, row)


def _row(statement: str, **params: Any) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"now": clock.now(), **params})
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _actor(tenant_id: UUID, row: tuple[Any, ...]) -> Actor:
    grants, hidden = _json(row[4]), _json(row[5])
    return Actor(
        tenant_id=tenant_id,
        kind=ActorKind.PERSON,
        person_id=row[0],
        name=row[1],
        language=row[2],
        time_zone=row[3] or "UTC",
        grants=frozenset(Grant(role, process or None, UUID(team) if team else None) for role, process, team in grants),
        hidden_teams=frozenset(UUID(team) for team in hidden),
    )


def _json(value: Any) -> Any:
    # Django hands jsonb over as text to raw cursors (its JSONField decodes by itself).
    return json.loads(value) if isinstance(value, str) else value


def member_of_user(tenant_id: UUID, user_id: UUID) -> tuple[Actor, Preferences] | None:
    """The user as an actor inside this tenant, with how he likes the pages; None without a valid membership."""
    row = _row(_OF_USER, tenant=tenant_id, user=user_id)
    return None if row is None else (_actor(tenant_id, row), Preferences(*row[6:]))


def new_secret() -> tuple[str, str, bytes]:
    """A fresh token: the text to show once, its visible prefix, and the hash to store."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return text, text[:12], secret_hash(text)


def secret_hash(text: str) -> bytes:
    """SHA-256: enough for 256 random bits, and fast enough to check on every call."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def actor_of_token(tenant_id: UUID, secret: str) -> Actor | None:
    """The actor behind a bearer token of this tenant: its maker's current rights, capped by the token's scopes.

    None for a token that is unknown, expired, revoked, or whose maker has lost the membership or the login. Asked in the
    database on every call: what is revoked ends at once, on every server.
    """
    row = _row(_OF_TOKEN, tenant=tenant_id, hash=secret_hash(secret))
    if row is None:
        return None
    token_id, scopes, last_used_at = row[6:]
    now = clock.now()
    if last_used_at is None or now - last_used_at > timedelta(minutes=1):
        _note_use(token_id, now)
    return replace(_actor(tenant_id, row), kind=ActorKind.TOKEN, token_id=token_id, scopes=frozenset(_json(scopes)))


def _note_use(token_id: UUID, now: datetime) -> None:
    """Keep when the token was last used, to the minute. Never waits: a parallel call may just be writing the same."""
    free = ApiToken.objects.select_for_update(skip_locked=True).filter(pk=token_id).first()
    if free is not None:
        free.last_used_at = now
        free.save(update_fields=["last_used_at"])


def tenant_of_token(secret: str) -> Tenant | None:
    """The active tenant that a token belongs to, before any tenant is known (one of the two narrow functions)."""
    return active_tenant("token", secret_hash(secret))


def tenants_of_user(user_id: UUID) -> list[tuple[UUID, str, str]]:
    """(id, slug, name) of the tenants that a user may enter, before any tenant is known (the other one)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, slug, name FROM itsm_tenants_of_user(%s) ORDER BY lower(name)", [user_id])
        return [(row[0], row[1], row[2]) for row in cursor.fetchall()]
