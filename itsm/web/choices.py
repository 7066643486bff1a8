"""What select boxes offer: the tenant's teams, agents, services and categories, each loaded once a page."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Q

from itsm.access.catalogue import Role
from itsm.access.models import RoleGrant
from itsm.kernel.actor import Actor
from itsm.tenancy.models import Person, Team
from itsm.tickets.models import Category, Service

Pairs = list[tuple[str, str]]
_AGENTS_MAX = 500
_AGENT_ROLES = (Role.AGENT, Role.PROCESS_MANAGER, Role.PROCESS_OWNER)


class Choices:
    """(id, name) pairs for one actor. A value in use is offered although it is no longer active."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def teams(self, current: UUID | None = None) -> Pairs:
        return [(v, n) for v, n, active in self._teams if active or v == str(current)]

    def agents(self, current: UUID | None = None) -> Pairs:
        found = list(self._agents)
        if current is not None and str(current) not in {value for value, _ in found}:
            name = Person.objects.filter(pk=current).values_list("name", flat=True).first()
            found.append((str(current), name or str(current)))
        return found

    def services(self, current: UUID | None = None) -> Pairs:
        return [(v, n) for v, n, active in self._services if active or v == str(current)]

    def categories(self, current: UUID | None = None) -> Pairs:
        return [(v, n) for v, n, active in self._categories if active or v == str(current)]

    @cached_property
    def _teams(self) -> list[tuple[str, str, bool]]:
        teams = self._of(Team).exclude(pk__in=self.actor.hidden_teams).order_by("name")
        return [(str(pk), name, active) for pk, name, active in teams.values_list("pk", "name", "is_active")]

    @cached_property
    def _agents(self) -> Pairs:
        able = RoleGrant.objects.valid().filter(tenant_id=self.actor.tenant_id, role__in=_AGENT_ROLES)
        people = self._of(Person).filter(Q(pk__in=able.values("person_id")), is_active=True).order_by("name")
        return [(str(pk), name) for pk, name in people.values_list("pk", "name")[:_AGENTS_MAX]]

    @cached_property
    def _services(self) -> list[tuple[str, str, bool]]:
        services = self._of(Service).order_by("name").values_list("pk", "name", "is_active")
        return [(str(pk), name, active) for pk, name, active in services]

    @cached_property
    def _categories(self) -> list[tuple[str, str, bool]]:
        rows = {row.pk: row for row in self._of(Category)}

        def path(row: Category) -> str:
            names: list[str] = []
            step: Category | None = row
            while step is not None and len(names) < 5:
                names.append(step.name)
                step = rows.get(step.parent_id)
            return " › ".join(reversed(names))

        return sorted(((str(r.pk), path(r), r.is_active) for r in rows.values()), key=lambda item: item[1])

    def _of(self, model: Any) -> Any:
        return model.objects.filter(tenant_id=self.actor.tenant_id)
