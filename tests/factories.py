"""Fixtures that cannot be impossible: everything is made by the product's own commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from config.provision import create_tenant
from incidents.commands import open_incident
from itsm.access.actors import actor_of_person
from itsm.access.catalogue import Role
from itsm.access.commands import create_person, create_team, create_token, grant_role, invite_user
from itsm.kernel.actor import Actor
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person, Team, Tenant, User
from itsm.tickets.models import Ticket


@dataclass
class Desk:
    """A tenant for tests. ``people`` are keyed by role; ``actor("agent")`` is that person with its current grants."""

    tenant: Tenant
    people: dict[str, Person] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"/t/{self.tenant.slug}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        with tenant(self.tenant.pk):
            yield

    def actor(self, name: str) -> Actor:
        with self.inside():
            actor = actor_of_person(self.tenant.pk, self.people[name].pk)
        assert actor is not None
        return actor

    @property
    def system(self) -> Actor:
        return Actor.system(self.tenant.pk, "test")

    def incident(self, by: str = "requester", **fields: Any) -> Ticket:
        fields.setdefault("title", "The printer is on fire")
        return open_incident(actor=self.actor(by), **fields)

    def token(self, name: str, *scopes: str) -> str:
        """The secret of a new token of this person, with all scopes unless some are named."""
        from itsm.access.catalogue import SCOPES

        return create_token(actor=self.actor(name), name="test", scopes=scopes or tuple(SCOPES))[1]

    def person(self, name: str, *grants: tuple[str, str | None, UUID | None]) -> Person:
        """Add a person with a login and these grants (role, process, team)."""
        slug = self.tenant.slug
        user = User.objects.create_user(f"{name}@{slug}.example", "correct horse battery")
        person = create_person(actor=self.system, name=f"{name} of {slug}", email=user.email)
        invite_user(actor=self.system, person_id=person.pk, user=user)
        for role, process, team_id in grants:
            grant_role(actor=self.system, person_id=person.pk, role=role, process=process, team_id=team_id)
        self.people[name], self.users[name] = person, user
        return person


def make_desk(slug: str) -> Desk:
    """A tenant with the teams Network, Apps and (restricted) HR, and one person per role; ``hr`` is the member of HR."""
    desk = Desk(create_tenant(slug, name=slug.title()).tenant)
    for name, restricted in (("network", False), ("apps", False), ("hr", True)):
        desk.teams[name] = create_team(actor=desk.system, name=name, restricted=restricted)
    desk.person("requester", (Role.REQUESTER, None, None))
    desk.person("colleague", (Role.REQUESTER, None, None))
    desk.person("agent", (Role.AGENT, None, None), (Role.AGENT, None, desk.teams["network"].pk))
    desk.person("hr", (Role.AGENT, None, desk.teams["hr"].pk))
    desk.person("manager", (Role.PROCESS_MANAGER, "incident", None))
    desk.person("owner", (Role.PROCESS_OWNER, "incident", None))
    desk.person("other_manager", (Role.PROCESS_MANAGER, "problem", None))
    desk.person("admin", (Role.TENANT_ADMIN, None, None))
    desk.person("auditor", (Role.AUDITOR, None, None))
    return desk
