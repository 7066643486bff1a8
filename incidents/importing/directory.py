"""People, teams and categories that imported incidents name: found, or made in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from itsm.events.history import History
from itsm.kernel.ids import new_id
from itsm.tenancy.bulk import insert_rows
from itsm.tenancy.models import Person, Team
from itsm.tickets.models import Category

#: A category's own name, and its parent's in front of it when it has one.
CategoryPath = tuple[str | None, str]


@dataclass
class Directory:
    """What the names of one source mean in one tenant. Keep it for a whole import: it remembers what it found.

    ``match`` says how a name finds somebody who is here already, beside the source's own key: by an e-mail address
    ("email"), also by a name that only one person has ("name"), or "never". By name is for desks that know that
    their names are unique: a namesake would see what is not his.
    """

    tenant_id: UUID
    source: str
    match: str = "email"
    people: dict[str, UUID] = field(default_factory=dict)
    teams: dict[str, UUID] = field(default_factory=dict)
    categories: dict[CategoryPath, UUID] = field(default_factory=dict)

    def copy(self) -> Directory:
        """A draft for one transaction; keep it only when that commits."""
        return Directory(
            self.tenant_id, self.source, self.match, dict(self.people), dict(self.teams), dict(self.categories)
        )

    def find_people(self, names: Iterable[str], history: History) -> None:
        """Know the ids of all these people; who is missing is created, without a login."""
        wanted = sorted(name for name in set(names) if name not in self.people)
        if not wanted:
            return
        keys = {f"{self.source}:{name}": name for name in wanted}
        here = Person.objects.filter(tenant_id=self.tenant_id)
        found = {keys[key]: pk for key, pk in here.filter(source_key__in=list(keys)).values_list("source_key", "pk")}
        active = here.filter(is_active=True)
        if self.match != "never" and (
            left := {name.lower(): name for name in wanted if name not in found and "@" in name}
        ):
            found |= {
                left[key]: pk for key, pk in active.filter(email_key__in=list(left)).values_list("email_key", "pk")
            }
        if self.match == "name" and (missing := [name for name in wanted if name not in found]):
            same: dict[str, list[UUID]] = {}
            for name, pk in active.filter(name__in=missing).values_list("name", "pk"):
                same.setdefault(name, []).append(pk)
            found |= {name: pks[0] for name, pks in same.items() if len(pks) == 1}
        made = {name: new_id() for name in wanted if name not in found}
        insert_rows(
            "tenancy_person",
            {"id": "uuid", "name": "text", "source_key": "text"},
            [{"id": pk, "name": name, "source_key": f"{self.source}:{name}"} for name, pk in made.items()],
            {
                "tenant_id": self.tenant_id,
                "language": "",
                "time_zone": "",
                "is_active": True,
                "created_at": history.recorded_at,
            },
        )
        for pk in made.values():
            history.append("person.created", history.recorded_at, {"person": str(pk), "organisation": None})
        self.people |= found | made

    def find_teams(self, names: Iterable[str], history: History) -> None:
        """The same for teams, which are known by their names."""
        wanted = sorted(name for name in set(names) if name not in self.teams)
        if not wanted:
            return
        found = dict(Team.objects.filter(tenant_id=self.tenant_id, name__in=wanted).values_list("name", "pk"))
        made = {name: new_id() for name in wanted if name not in found}
        insert_rows(
            "tenancy_team",
            {"id": "uuid", "name": "text"},
            [{"id": pk, "name": name} for name, pk in made.items()],
            {
                "tenant_id": self.tenant_id,
                "description": "",
                "is_restricted": False,
                "is_active": True,
                "created_at": history.recorded_at,
            },
        )
        for pk in made.values():
            history.append("team.created", history.recorded_at, {"team": str(pk), "restricted": False})
        self.teams |= found | made

    def find_categories(self, paths: Iterable[CategoryPath], history: History) -> None:
        """The same for categories; a parent comes before its children."""
        wanted = {path for path in paths if path not in self.categories}
        if not wanted:
            return
        parents = {(None, parent) for parent, _ in wanted if parent is not None}
        for level in ((parents | {path for path in wanted if path[0] is None}), wanted):
            self._find_level(sorted((path for path in level if path not in self.categories), key=str), history)

    def _find_level(self, paths: list[CategoryPath], history: History) -> None:
        if not paths:
            return
        rows = Category.objects.filter(tenant_id=self.tenant_id, name__in=[name for _, name in paths])
        here = {(parent_id, name): pk for parent_id, name, pk in rows.values_list("parent_id", "name", "pk")}
        parent_of = {path: self.categories[None, path[0]] if path[0] is not None else None for path in paths}
        made = {path: new_id() for path in paths if (parent_of[path], path[1]) not in here}
        insert_rows(
            "tickets_category",
            {"id": "uuid", "name": "text", "parent_id": "uuid"},
            [{"id": pk, "name": path[1], "parent_id": parent_of[path]} for path, pk in made.items()],
            {"tenant_id": self.tenant_id, "is_active": True},
        )
        for pk in made.values():
            history.append("category.created", history.recorded_at, {"category": str(pk)})
        for path in paths:
            self.categories[path] = made[path] if path in made else here[parent_of[path], path[1]]
