"""Who I am here, and the tokens that I have made."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.catalogue import SCOPES, TABLE
from itsm.access.commands import create_token, revoke_token
from itsm.access.decide import allows
from itsm.access.models import ApiToken
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of
from itsm.api.shapes import Named, OneOf, Outgoing, Shape, Text, When
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.tenancy.models import Person, Team
from itsm.tickets.keyset import Sort


class TenantOut(Outgoing):
    """The tenant (the service desk) that this address or token belongs to."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()


class GrantOut(Outgoing):
    """A role that I hold: everywhere, for one process, or in one team."""

    role = serializers.CharField()
    process = serializers.CharField(allow_null=True)
    team = Named(allow_null=True)


class MeOut(Outgoing):
    """The caller. ``permissions`` is what remains after the token's scopes."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["person", "token"])
    name = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    language = serializers.CharField()
    time_zone = serializers.CharField()
    tenant = TenantOut()
    grants = GrantOut(many=True)
    scopes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    permissions = serializers.ListField(child=serializers.CharField())


class MeView(ApiView):
    """The caller."""

    @operation("GET", "me", "Who I am", tag="account", answer=MeOut)
    def get(self, request: Request) -> Response:
        actor = self.actor
        tenant = request._request.tenant  # type: ignore[attr-defined]
        email = Person.objects.filter(pk__in=[actor.person_id]).values_list("email_key", flat=True).first()
        teams = dict(Team.objects.filter(pk__in=actor.team_ids).values_list("pk", "name"))
        grants = sorted(actor.grants, key=lambda grant: (grant.role, grant.process or "", str(grant.team_id or "")))
        return Response(
            {
                "id": actor.person_id,
                "kind": actor.kind.value,
                "name": actor.name,
                "email": email,
                "language": actor.language,
                "time_zone": actor.time_zone,
                "tenant": {"id": tenant.pk, "slug": tenant.slug, "name": tenant.name},
                "grants": [
                    {
                        "role": grant.role,
                        "process": grant.process,
                        "team": {"id": grant.team_id, "name": teams.get(grant.team_id, "")} if grant.team_id else None,
                    }
                    for grant in grants
                ],
                "scopes": None if actor.scopes is None else sorted(actor.scopes),
                "permissions": [permission for permission in TABLE if allows(actor, permission)],
            }
        )


class NewToken(Shape):
    """A token for oneself. What it may do is the smaller of its scopes and of what its maker may do at the moment of use."""

    name = Text(max_length=100)
    scopes = serializers.ListField(child=OneOf(choices=list(SCOPES)), min_length=1, max_length=len(SCOPES))
    expires_at = When(required=False, allow_null=True)


class TokenOut(Outgoing):
    """A token. ``prefix`` is the visible beginning of its secret."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    person = Named()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOut(TokenOut):
    """A new token with its secret, which is shown this once: a replay of the request answers null."""

    secret = serializers.CharField(allow_null=True)


_COLUMNS = [
    "id",
    "name",
    "prefix",
    "scopes",
    "person_id",
    "person__name",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "person": {"id": row.pop("person_id"), "name": row.pop("person__name")}}


class _Tokens(ApiView):
    def tokens(self) -> QuerySet[Any]:
        """My tokens; for whoever manages tokens, everybody's. A token sees itself alone."""
        found = ApiToken.objects.filter(tenant_id=self.actor.tenant_id)
        if allows(self.actor, "token.manage"):
            return found
        if self.actor.token_id is not None:
            return found.filter(pk=self.actor.token_id)
        return found.filter(person_id=self.actor.person_id)


class TokensView(_Tokens):
    """Tokens, newest first; making one."""

    query_parameters = PAGE_PARAMETERS
    shown_once = ("secret",)

    @operation("GET", "tokens_list", "List tokens", tag="account", answer=page_of(TokenOut), parameters=PAGE_QUERY)
    def get(self, request: Request) -> Response:
        newest = Sort("-created_at", "created_at", down=True, id_down=True)
        page = paginate(request, self.tokens(), self.given, newest, lambda found: list(found.values(*_COLUMNS)))
        return page.response([_shown(row) for row in page.rows])

    @operation(
        "POST",
        "tokens_create",
        "Make a token for oneself (from the browser: tokens make no tokens)",
        tag="account",
        body=NewToken,
        answer=NewTokenOut,
        status=201,
    )
    def post(self, request: Request) -> Response:
        token, secret = create_token(actor=self.actor, **self.body(NewToken))
        row = ApiToken.objects.filter(pk=token.pk).values(*_COLUMNS).get()
        return Response({**_shown(row), "secret": secret}, status=201)


class TokenView(_Tokens):
    """One token."""

    @operation("GET", "tokens_get", "Read a token", tag="account", answer=TokenOut)
    def get(self, request: Request, key: str) -> Response:
        row = self.tokens().filter(pk=plain_id(key)).values(*_COLUMNS).first()
        if row is None:
            raise NotFound
        return Response(_shown(row))

    @operation("DELETE", "tokens_revoke", "End a token at once", tag="account", status=204)
    def delete(self, request: Request, key: str) -> Response:
        if not self.tokens().filter(pk=plain_id(key)).exists():
            raise NotFound
        revoke_token(actor=self.actor, token_id=plain_id(key))
        return Response(status=204)
