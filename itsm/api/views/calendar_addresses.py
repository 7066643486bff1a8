"""My addresses for calendar programs: whoever knows one reads my on-call shifts, so each is shown once."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of
from itsm.api.shapes import Named, Outgoing, Reference, Shape
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.oncall.commands import create_feed, revoke_feed
from itsm.oncall.models import OnCallFeed
from itsm.tickets.keyset import Sort

_TAG: Final = "on-call"
_NEWEST = Sort("-created_at", "created_at", down=True, id_down=True)
_COLUMNS = ("id", "prefix", "schedule_id", "schedule__name", "created_at")


class NewCalendarAddress(Shape):
    """For one schedule; without one, for my own shifts in all of them."""

    schedule = Reference(required=False, allow_null=True)


class CalendarAddressOut(Outgoing):
    """An address. ``prefix`` is the visible beginning of its secret part; ``schedule`` null: my own shifts in all."""

    id = serializers.UUIDField()
    prefix = serializers.CharField()
    schedule = Named(allow_null=True)
    created_at = serializers.DateTimeField()


class NewCalendarAddressOut(CalendarAddressOut):
    """A new address, which is shown this once: a replay of the request answers null."""

    address = serializers.CharField(allow_null=True)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    schedule, name = row.pop("schedule_id"), row.pop("schedule__name")
    return {**row, "schedule": {"id": schedule, "name": name} if schedule else None}


class _Addresses(ApiView):
    def mine(self) -> QuerySet[Any]:
        """My addresses that have not ended."""
        return OnCallFeed.objects.filter(
            tenant_id=self.actor.tenant_id, person_id__in=[self.actor.person_id], revoked_at__isnull=True
        )


class CalendarAddressesView(_Addresses):
    """Mine, newest first; making one."""

    query_parameters = PAGE_PARAMETERS
    shown_once = ("address",)

    @operation("GET", "calendar_addresses_list", "List my calendar addresses", tag=_TAG,
               answer=page_of(CalendarAddressOut), parameters=PAGE_QUERY)  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "oncall.read")
        page = paginate(request, self.mine(), self.given, _NEWEST, lambda found: list(found.values(*_COLUMNS)))
        return page.response([_shown(row) for row in page.rows])

    @operation("POST", "calendar_addresses_create", "Make an address (from the browser: tokens make none)", tag=_TAG,
               body=NewCalendarAddress, answer=NewCalendarAddressOut, status=201)  # fmt: skip
    def post(self, request: Request) -> Response:
        made, secret = create_feed(actor=self.actor, schedule_id=self.body(NewCalendarAddress).get("schedule"))
        row = self.mine().filter(pk=made.pk).values(*_COLUMNS).get()
        address = request.build_absolute_uri(reverse("oncall-feed", args=[secret]))
        return Response({**_shown(row), "address": address}, status=201)


class CalendarAddressView(_Addresses):
    """One of mine."""

    @operation("DELETE", "calendar_addresses_end", "End a calendar address at once", tag=_TAG, status=204)
    def delete(self, request: Request, key: str) -> Response:
        if not self.mine().filter(pk=plain_id(key)).exists():
            raise NotFound
        revoke_feed(actor=self.actor, feed_id=plain_id(key))
        return Response(status=204)
