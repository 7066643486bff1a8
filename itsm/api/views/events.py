"""The feed: every sealed event in the order of its position, so that nobody depends on a webhook arriving."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize, event_filter
from itsm.api.filters import whole
from itsm.api.pagination import LIMIT_DEFAULT, LIMIT_MAX, with_query
from itsm.api.schema import PAGE_QUERY, operation, query
from itsm.api.shapes import Outgoing
from itsm.api.views.base import ApiView
from itsm.events.kinds import current
from itsm.events.models import FeedEntry, FeedHead

#: Positions that one request looks at. The caller may be allowed to see few of them; ``after`` moves on all the same.
WINDOW = 2000


class EventTicketOut(Outgoing):
    """The ticket that an event belongs to."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    kind = serializers.CharField()


class EventActorOut(Outgoing):
    """Who acted: a person, a token (``id`` is its maker, ``label`` the token) or the product (``label`` is the job)."""

    kind = serializers.CharField()
    id = serializers.UUIDField(allow_null=True)
    label = serializers.CharField()  # type: ignore[assignment]


class EventOut(Outgoing):
    """An event: ids and codes; texts are read from the ticket, where rights and erasure apply."""

    position = serializers.IntegerField()
    id = serializers.UUIDField()
    kind = serializers.CharField()
    ticket = EventTicketOut(allow_null=True)
    sequence = serializers.IntegerField()
    actor = EventActorOut()
    cause = serializers.UUIDField(allow_null=True)
    depth = serializers.IntegerField()
    request_id = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    payload = serializers.DictField(child=serializers.JSONField())


class EventPage(Outgoing):
    """Events after a position. Go on with ``after``; ``next`` is null when nothing more is sealed yet."""

    results = EventOut(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    after = serializers.IntegerField(help_text="The position up to which this answer is complete.")


_EVENT = (
    *("kind", "version", "sequence", "payload", "ticket_id", "ticket__number", "ticket__kind"),
    *("actor_kind", "actor_id", "actor_label", "cause_id", "depth", "request_id", "occurred_at", "recorded_at"),
)
_COLUMNS = ("position", "event_id", *(f"event__{column}" for column in _EVENT))


class EventsView(ApiView):
    """All events that the caller may see, gap-free up to ``after``."""

    query_parameters = ("after", "limit")

    @operation(
        "GET",
        "events_list",
        "Read the feed of events",
        tag="events",
        answer=EventPage,
        parameters=(
            query("after", "The `after` of the last answer; 0 to start.", kind={"type": "integer", "minimum": 0}),
            PAGE_QUERY[1],
        ),
    )
    def get(self, request: Request) -> Response:
        authorize(self.actor, "event.read")
        after = whole("after", self.given.get("after", "0"), 0, 2**63 - 1)
        limit = whole("limit", self.given.get("limit", str(LIMIT_DEFAULT)), 1, LIMIT_MAX)
        # Read first: entries and head are committed together, so everything up to it can be read.
        head = FeedHead.objects.filter(tenant_id=self.actor.tenant_id).values_list("position", flat=True).first() or 0
        end = min(after + WINDOW, max(head, after))
        entries = FeedEntry.objects.filter(tenant_id=self.actor.tenant_id, position__gt=after, position__lte=end)
        rows = list(entries.filter(event_filter(self.actor, "event__")).order_by("position").values(*_COLUMNS)[:limit])
        reached = rows[-1]["position"] if len(rows) == limit else end
        more = with_query(request, after=str(reached)) if reached < head else None
        return Response({"results": [_event(row) for row in rows], "next": more, "previous": None, "after": reached})


def _event(row: dict[str, Any]) -> dict[str, Any]:
    ticket = row["event__ticket_id"]
    return {
        "position": row["position"],
        "id": row["event_id"],
        "kind": row["event__kind"],
        "ticket": {"id": ticket, "number": row["event__ticket__number"], "kind": row["event__ticket__kind"]}
        if ticket
        else None,
        "sequence": row["event__sequence"],
        "actor": {
            "kind": row["event__actor_kind"],
            "id": row["event__actor_id"],
            "label": row["event__actor_label"],
        },
        "cause": row["event__cause_id"],
        "depth": row["event__depth"],
        "request_id": row["event__request_id"],
        "occurred_at": row["event__occurred_at"],
        "recorded_at": row["event__recorded_at"],
        "payload": current(row["event__kind"], row["event__version"], row["event__payload"]),
    }
