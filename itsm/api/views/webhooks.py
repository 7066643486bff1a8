"""Where webhooks go. An address may hold a secret of its own, so reading needs the right that writing needs."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of
from itsm.api.shapes import Nothing, Outgoing, Shape, Text
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.notify.commands.endpoints import create_endpoint, rotate_secret, update_endpoint
from itsm.notify.models import Endpoint
from itsm.tickets.keyset import Sort

_TAG: Final = "webhook-endpoints"
_NAME_MAX, _URL_MAX, _KIND_MAX, _KINDS_MAX = 100, 2000, 100, 200
_BY_NAME = Sort("name", "name", kind=str)
#: What is shown: never a secret.
_COLUMNS = (
    "id",
    "name",
    "url",
    "kinds",
    "is_active",
    "failures",
    "disabled_at",
    "disabled_reason",
    "previous_until",
    "created_at",
)


class NewEndpoint(Shape):
    """An address. ``kinds`` are kinds of events or their beginnings (``incident.``); without any, all of tickets."""

    name = Text(max_length=_NAME_MAX)
    url = Text(max_length=_URL_MAX)
    kinds = serializers.ListField(child=Text(max_length=_KIND_MAX), required=False, max_length=_KINDS_MAX)


class EndpointChanges(Shape):
    """What changes; what is left out stays. ``is_active`` true after it was switched off forgets its failures."""

    remedies: ClassVar = {"secret": "Use POST …/rotate/."}
    name = Text(max_length=_NAME_MAX, required=False, allow_blank=False)
    url = Text(max_length=_URL_MAX, required=False, allow_blank=False)
    kinds = serializers.ListField(child=Text(max_length=_KIND_MAX), required=False, max_length=_KINDS_MAX)
    is_active = serializers.BooleanField(required=False)


class EndpointOut(Outgoing):
    """An address. ``failures`` in a row; too many switch it off, and ``disabled_at`` and ``disabled_reason`` say so.

    Until ``previous_until`` deliveries are signed with the secret from before the last rotation as well.
    """

    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    is_active = serializers.BooleanField()
    failures = serializers.IntegerField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField()
    previous_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class EndpointSecretOut(EndpointOut):
    """The same with its new secret, which is shown this once: a replay of the request answers null."""

    secret = serializers.CharField(allow_null=True)


class _Endpoints(ApiView):
    def shown(self, pk: UUID) -> dict[str, Any]:
        found = Endpoint.objects.filter(tenant_id=self.actor.tenant_id, pk=pk).values(*_COLUMNS).first()
        if found is None:
            raise NotFound
        return dict(found)


class EndpointsView(_Endpoints):
    """All endpoints, by name; adding one."""

    query_parameters = PAGE_PARAMETERS
    shown_once = ("secret",)

    @operation("GET", "webhook_endpoints_list", "List webhook endpoints", tag=_TAG, answer=page_of(EndpointOut),
               parameters=PAGE_QUERY)  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "notification.manage")
        rows = Endpoint.objects.filter(tenant_id=self.actor.tenant_id)
        page = paginate(request, rows, self.given, _BY_NAME, lambda found: list(found.values(*_COLUMNS)))
        return page.response(page.rows)

    @operation("POST", "webhook_endpoints_create", "Add a webhook endpoint", tag=_TAG, body=NewEndpoint,
               answer=EndpointSecretOut, status=201)  # fmt: skip
    def post(self, request: Request) -> Response:
        made, secret = create_endpoint(actor=self.actor, **self.body(NewEndpoint))
        response = Response({**self.shown(made.pk), "secret": secret}, status=201)
        response["Location"] = f"{request.path.rstrip('/')}/{made.pk}/"
        return response


class EndpointView(_Endpoints):
    """One endpoint."""

    @operation("GET", "webhook_endpoints_get", "Read a webhook endpoint", tag=_TAG, answer=EndpointOut)
    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "notification.manage")
        return Response(self.shown(plain_id(key)))

    @operation("PATCH", "webhook_endpoints_update", "Change it, switch it off or on again", tag=_TAG,
               body=EndpointChanges, answer=EndpointOut)  # fmt: skip
    def patch(self, request: Request, key: str) -> Response:
        given = {
            ("active" if name == "is_active" else name): value for name, value in self.body(EndpointChanges).items()
        }
        changed = update_endpoint(actor=self.actor, endpoint_id=plain_id(key), **given)
        return Response(self.shown(changed.pk))


class RotateView(_Endpoints):
    """A new secret."""

    shown_once = ("secret",)

    @operation("POST", "webhook_endpoints_rotate", "Give it a new secret; the old one signs along for a day", tag=_TAG,
               body=Nothing, answer=EndpointSecretOut)  # fmt: skip
    def post(self, request: Request, key: str) -> Response:
        self.body(Nothing)
        changed, secret = rotate_secret(actor=self.actor, endpoint_id=plain_id(key))
        return Response({**self.shown(changed.pk), "secret": secret})


#: Address → view.
WEBHOOKS: dict[str, type[ApiView]] = {
    "webhook-endpoints": EndpointsView,
    "webhook-endpoints/<str:key>": EndpointView,
    "webhook-endpoints/<str:key>/rotate": RotateView,
}
