"""What select boxes offer: time zones, and the tenant's teams, agents, services and categories, each loaded once a page."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import connection

from itsm.access.catalogue import Role
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.tenancy.models import Person

Pairs = list[tuple[str, str]]
_AGENTS_MAX = 500
_AGENT_ROLES = [role.value for role in (Role.AGENT, Role.PROCESS_MANAGER, Role.PROCESS_OWNER)]

# Every list asks for all four: written out, because building them took as long as the rows of the list, and in one, because
# each round trip costs as much as its rows.
_OFFERED = """
SELECT 'team' AS what, id, name, NULL::uuid AS parent, is_active FROM tenancy_team WHERE tenant_id = %(tenant)s
UNION ALL SELECT 'service', id, name, NULL, is_active FROM tickets_service WHERE tenant_id = %(tenant)s
UNION ALL SELECT 'category', id, name, parent_id, is_active FROM tickets_category WHERE tenant_id = %(tenant)s
UNION ALL (SELECT 'agent', p.id, p.name, NULL, true FROM tenancy_person p
  WHERE p.tenant_id = %(tenant)s AND p.is_active AND p.id IN (SELECT g.person_id FROM access_rolegrant g
    WHERE g.tenant_id = p.tenant_id AND g.role = ANY (%(roles)s) AND (g.valid_until IS NULL OR g.valid_until > %(now)s))
  ORDER BY p.name LIMIT %(most)s)
ORDER BY name
"""


def zones() -> Pairs:
    """All time zones."""
    return [(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())]


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
        hidden = self.actor.hidden_teams
        return [(str(pk), name, active) for pk, name, _, active in self._offered["team"] if pk not in hidden]

    @cached_property
    def _agents(self) -> Pairs:
        return [(str(pk), name) for pk, name, _, _ in self._offered["agent"]]

    @cached_property
    def _services(self) -> list[tuple[str, str, bool]]:
        return [(str(pk), name, active) for pk, name, _, active in self._offered["service"]]

    @cached_property
    def _categories(self) -> list[tuple[str, str, bool]]:
        rows = {pk: (name, parent, active) for pk, name, parent, active in self._offered["category"]}

        def path(pk: UUID) -> str:
            names: list[str] = []
            step: UUID | None = pk
            while step in rows and len(names) < 5:
                name, step, _ = rows[step]
                names.append(name)
            return " › ".join(reversed(names))

        return sorted(((str(pk), path(pk), active) for pk, (_, _, active) in rows.items()), key=lambda item: item[1])

    @cached_property
    def _offered(self) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {"team": [], "service": [], "category": [], "agent": []}
        values: dict[str, Any] = {
            "tenant": self.actor.tenant_id,
            "roles": _AGENT_ROLES,
            "now": clock.now(),
            "most": _AGENTS_MAX,
        }
        with connection.cursor() as cursor:
            cursor.execute(_OFFERED, values)
            for what, *row in cursor.fetchall():
                found[what].append(tuple(row))
        return found
