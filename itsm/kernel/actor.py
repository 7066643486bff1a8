"""Who acts. Every command takes an actor; there is no current user hidden anywhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """How the actor came in. Written into every event."""

    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Grant:
    """One role that a person holds: everywhere in the tenant, or for one process, or in one team."""

    role: str
    process: str | None = None
    team_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated somebody inside exactly one tenant, with all that authorisation needs, so that it costs no query.

    ``scopes`` is None for people; for a token it caps what its maker's rights allow.
    ``hidden_teams`` are the restricted teams that the actor is not a member of.
    """

    tenant_id: UUID
    kind: ActorKind
    person_id: UUID | None = None
    name: str = ""
    grants: frozenset[Grant] = frozenset()
    scopes: frozenset[str] | None = None
    token_id: UUID | None = None
    hidden_teams: frozenset[UUID] = frozenset()
    request_id: str = field(default="", compare=False)
    language: str = ""
    time_zone: str = "UTC"

    @classmethod
    def system(cls, tenant_id: UUID, job: str) -> Actor:
        """The product itself, acting for a named job (``auto_close``, ``import``). Rights come from the system column."""
        return cls(tenant_id=tenant_id, kind=ActorKind.SYSTEM, name=job)

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(grant.role for grant in self.grants)

    @property
    def team_ids(self) -> frozenset[UUID]:
        return frozenset(grant.team_id for grant in self.grants if grant.team_id)
