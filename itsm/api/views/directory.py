"""What tickets refer to: teams, users (people), organisations, services and categories. Read here, changed in the admin."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import allows, authorize
from itsm.access.models import RoleGrant
from itsm.api.filters import choice, uuid_value, yes_or_no
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.shapes import Named, Outgoing
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.models import Organisation, Person, Team
from itsm.tickets.keyset import Sort
from itsm.tickets.models import Category, Service

_BY_NAME = Sort("name", "name", kind=str)


class TeamOut(Outgoing):
    """A group of agents. The tickets of a restricted one exist for its members only."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_restricted = serializers.BooleanField()
    is_active = serializers.BooleanField()


class UserOut(Outgoing):
    """A person of this tenant: requester, assignee, actor."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    organisation = Named(allow_null=True)
    is_active = serializers.BooleanField()


class OrganisationOut(Outgoing):
    """A customer company, or a unit of one."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    parent = serializers.UUIDField(allow_null=True)  # type: ignore[assignment]
    is_active = serializers.BooleanField()


class ServiceOut(Outgoing):
    """A service that tickets are about."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_active = serializers.BooleanField()


class CategoryOut(Outgoing):
    """What a ticket is about, in a tree."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    parent = serializers.UUIDField(allow_null=True)  # type: ignore[assignment]
    is_active = serializers.BooleanField()


class Directory(ApiView):
    """Base of a list and of its objects: ``model``, the permission to read it, and its columns."""

    model: ClassVar[type[TenantModel]]
    permission: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def rows(self) -> QuerySet[Any]:
        return self.model.objects.filter(tenant_id=self.actor.tenant_id)

    def narrowed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        if "is_active" in self.given:
            rows = rows.filter(is_active=yes_or_no("is_active", self.given["is_active"]))
        return rows

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return {("parent" if name == "parent_id" else name): value for name, value in row.items()}


class ListView(Directory):
    """All of them, by name."""

    query_parameters: ClassVar[Collection[str]] = (*PAGE_PARAMETERS, "is_active")

    def get(self, request: Request) -> Response:
        authorize(self.actor, self.permission)
        rows = self.narrowed(self.rows())
        page = paginate(request, rows, self.given, _BY_NAME, lambda found: list(found.values("id", *self.columns)))
        return page.response([self.shown(row) for row in page.rows])


class OneView(Directory):
    """One of them."""

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, self.permission)
        row = self.rows().filter(pk=plain_id(key)).values("id", *self.columns).first()
        if row is None:
            raise NotFound
        return Response(self.shown(row))


class _Teams(Directory):
    model = Team
    permission = "team.read"
    columns = ("name", "description", "is_restricted", "is_active")

    def rows(self) -> QuerySet[Any]:
        """A restricted team is unknown to whoever is neither a member nor the one who manages teams."""
        rows = super().rows()
        return rows if allows(self.actor, "team.manage") else rows.exclude(pk__in=self.actor.hidden_teams)


class _Users(Directory):
    model = Person
    permission = "person.read"
    columns = ("name", "email_key", "organisation_id", "organisation__name", "is_active")

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(erased_at__isnull=True)

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        unit, name = row["organisation_id"], row["organisation__name"]
        return {
            "id": row["id"],
            "name": row["name"],
            "email": row["email_key"],
            "organisation": {"id": unit, "name": name} if unit else None,
            "is_active": row["is_active"],
        }


class UserListView(_Users, ListView):
    """People, by name; filtered by address, team, organisation, or whether they can be assigned."""

    query_parameters = (*ListView.query_parameters, "email", "team", "organisation", "role")

    def narrowed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().narrowed(rows)
        given = self.given
        if "email" in given:
            rows = rows.filter(email_key=given["email"].strip().lower())
        if "organisation" in given:
            rows = rows.filter(organisation_id=uuid_value("organisation", given["organisation"]))
        if "team" in given:
            team = uuid_value("team", given["team"])
            hidden = team in self.actor.hidden_teams and not allows(self.actor, "team.manage")
            rows = rows.none() if hidden else rows.filter(pk__in=self._holding(Q(team_id=team)))
        if "role" in given:
            role = choice("role", given["role"], {"agent": "agent", "requester": "requester"})
            rows = rows.filter(pk__in=self._holding(Q(role=role)))
        return rows

    def _holding(self, grants: Q) -> QuerySet[Any]:
        return RoleGrant.objects.valid().filter(grants, tenant_id=self.actor.tenant_id).values("person_id")


class _Organisations(Directory):
    model = Organisation
    permission = "person.read"
    columns = ("name", "parent_id", "is_active")


class _Services(Directory):
    model = Service
    permission = "service.read"
    columns = ("name", "description", "is_active")


class _Categories(Directory):
    model = Category
    permission = "category.read"
    columns = ("name", "parent_id", "is_active")


_ACTIVE = query("is_active", "Only those that can (or can no longer) be chosen.", kind={"type": "boolean"})


def _list(kind: type[Directory], name: str, item: Any, *parameters: Any) -> Any:
    base = kind if issubclass(kind, ListView) else type(f"{name.title()}ListView", (kind, ListView), {})
    schema = operation(
        "GET",
        f"{name}_list",
        f"List {name}",
        tag="directory",
        answer=page_of(item),
        parameters=(*PAGE_QUERY, _ACTIVE, *parameters),
    )
    return extend_schema_view(get=schema)(base)


def _one(kind: type[Directory], name: str, item: Any) -> Any:
    schema = operation("GET", f"{name}_get", f"Read one of the {name}", tag="directory", answer=item)
    return extend_schema_view(get=schema)(type(f"{name.title()}View", (kind, OneView), {}))


_USER_QUERY = (
    query("email", "The exact address."),
    query("team", "Members of the team.", kind={"type": "string", "format": "uuid"}),
    query("organisation", "People of the organisation.", kind={"type": "string", "format": "uuid"}),
    query("role", "Holders of the role.", kind={"type": "string", "enum": ["agent", "requester"]}),
)
#: Address → (list, one).
DIRECTORY: dict[str, tuple[Any, Any]] = {
    "teams": (_list(_Teams, "teams", TeamOut), _one(_Teams, "teams", TeamOut)),
    "users": (_list(UserListView, "users", UserOut, *_USER_QUERY), _one(_Users, "users", UserOut)),
    "organisations": (
        _list(_Organisations, "organisations", OrganisationOut),
        _one(_Organisations, "organisations", OrganisationOut),
    ),
    "services": (_list(_Services, "services", ServiceOut), _one(_Services, "services", ServiceOut)),
    "categories": (_list(_Categories, "categories", CategoryOut), _one(_Categories, "categories", CategoryOut)),
}
