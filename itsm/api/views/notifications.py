"""My inbox, and what I am told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.filters import yes_or_no
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.shapes import Nothing, OneOf, Outgoing, Shape
from itsm.api.views.base import ApiView
from itsm.kernel.actor import Actor
from itsm.notify.commands.inbox import read_all_notifications, read_notification
from itsm.notify.commands.preferences import CHANNELS, update_preferences
from itsm.notify.inbox import Line, lines_of, notifications_of
from itsm.notify.models import Digest, Urgency
from itsm.notify.topics import TOPICS
from itsm.notify.wishes import Wishes, wishes_of_person
from itsm.tickets.keyset import Sort


class NotificationTicketOut(Outgoing):
    """The ticket that it is about."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    kind = serializers.CharField()
    title = serializers.CharField()


class NotificationEventOut(Outgoing):
    """The event that it tells of."""

    id = serializers.UUIDField()
    kind = serializers.CharField()


class NotificationOut(Outgoing):
    """One line of my inbox. ``ticket`` and ``text`` are empty when I may no longer see the ticket."""

    id = serializers.UUIDField()
    topic = serializers.CharField()
    urgency = serializers.ChoiceField(choices=Urgency.choices)
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)
    event = NotificationEventOut()
    ticket = NotificationTicketOut(allow_null=True)
    text = serializers.CharField()


def _shown(line: Line) -> dict[str, Any]:
    ticket = line.ticket
    about = {"id": ticket.pk, "number": ticket.number, "kind": ticket.kind, "title": ticket.title} if ticket else None
    return {
        "id": line.id,
        "topic": line.topic,
        "urgency": line.urgency,
        "created_at": line.created_at,
        "read_at": line.read_at,
        "event": {"id": line.event_id, "kind": line.event_kind},
        "ticket": about,
        "text": f"{line.who} {line.text}".strip(),
    }


class NotificationsView(ApiView):
    """My inbox, newest first."""

    query_parameters = (*PAGE_PARAMETERS, "unread")

    @operation(
        "GET",
        "notifications_list",
        "List my notifications",
        tag="notifications",
        answer=page_of(NotificationOut),
        parameters=(*PAGE_QUERY, query("unread", "`true`: only those that I have not read.", kind=OpenApiTypes.BOOL)),
    )
    def get(self, request: Request) -> Response:
        authorize(self.actor, "notification.read")
        unread = yes_or_no("unread", self.given["unread"]) if "unread" in self.given else None
        found = notifications_of(self.actor, unread=unread).select_related("event")
        newest = Sort("-created_at", "created_at", down=True, id_down=True)
        page = paginate(request, found, self.given, newest, _rows)
        lines = lines_of(self.actor, [row["row"] for row in page.rows])
        return page.response([_shown(line) for line in lines])


def _rows(found: Any) -> list[dict[str, Any]]:
    return [{"id": row.pk, "created_at": row.created_at, "row": row} for row in found]


class ReadNotificationView(ApiView):
    """Marking one as read."""

    @operation(
        "POST", "notifications_read", "Mark one as read", tag="notifications", body=Nothing, answer=NotificationOut
    )
    def post(self, request: Request, key: str) -> Response:
        self.body(Nothing)
        notification = read_notification(actor=self.actor, notification_id=plain_id(key))
        return Response(_shown(lines_of(self.actor, [notification])[0]))


class ReadCountOut(Outgoing):
    """How many were marked as read."""

    read = serializers.IntegerField()


class ReadAllNotificationsView(ApiView):
    """Marking all as read."""

    @operation(
        "POST", "notifications_read_all", "Mark all as read", tag="notifications", body=Nothing, answer=ReadCountOut
    )
    def post(self, request: Request) -> Response:
        self.body(Nothing)
        return Response({"read": read_all_notifications(actor=self.actor)})


class Clock(serializers.TimeField):
    """A time of day such as 22:30."""

    default_error_messages = {"invalid": "Send a time of day such as 22:30."}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **kwargs)

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.fail("invalid")
        return super().to_internal_value(value)


class Switches(serializers.DictField):
    """{topic: {channel: true or false}}."""

    child = serializers.DictField(child=serializers.BooleanField())

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping) or len(data) > 200:
            raise serializers.ValidationError("Send an object of topics.", code="not_an_object")
        for topic, switches in data.items():
            if not isinstance(switches, Mapping) or not all(isinstance(value, bool) for value in switches.values()):
                raise serializers.ValidationError(
                    {str(topic)[:60]: "Send an object of channels with true or false."}, code="not_a_switch"
                )
        return {str(topic): dict(switches) for topic, switches in data.items()}


class PreferencesIn(Shape):
    """What shall change; the rest stays."""

    topics = Switches(required=False)
    quiet_start = Clock(required=False, allow_null=True)
    quiet_end = Clock(required=False, allow_null=True)
    pages_in_quiet = serializers.BooleanField(required=False)
    digest = OneOf(choices=list(Digest.values), required=False)
    digest_at = Clock(required=False)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and not isinstance(data.get("pages_in_quiet", True), bool):
            raise serializers.ValidationError({"pages_in_quiet": "Send true or false."}, code="not_a_switch")
        return super().to_internal_value(data)


class TopicSwitchesOut(Outgoing):
    """Which channels a topic comes through, with the defaults applied."""

    inbox = serializers.BooleanField()
    email = serializers.BooleanField()


class PreferencesOut(Outgoing):
    """What I am told, how and when. Times are in my time zone."""

    topics = serializers.DictField(child=TopicSwitchesOut())
    quiet_start = serializers.CharField(allow_null=True)
    quiet_end = serializers.CharField(allow_null=True)
    pages_in_quiet = serializers.BooleanField()
    digest = serializers.ChoiceField(choices=Digest.choices)
    digest_at = serializers.CharField()


class PreferencesView(ApiView):
    """My preferences."""

    @operation("GET", "notification_preferences_get", "What I am told", tag="notifications", answer=PreferencesOut)
    def get(self, request: Request) -> Response:
        authorize(self.actor, "notification.read")
        return Response(_preferences(self.actor))

    @operation(
        "PATCH",
        "notification_preferences_update",
        "Change what I am told",
        tag="notifications",
        body=PreferencesIn,
        answer=PreferencesOut,
    )
    def patch(self, request: Request) -> Response:
        update_preferences(actor=self.actor, **self.body(PreferencesIn))
        return Response(_preferences(self.actor))


def _preferences(actor: Actor) -> dict[str, Any]:
    wishes = wishes_of_person(actor.person_id) if actor.person_id is not None else Wishes()
    return {
        "topics": {
            topic.key: {channel: wishes.wants(topic, channel) for channel in CHANNELS} for topic in TOPICS.values()
        },
        "quiet_start": f"{wishes.quiet_start:%H:%M}" if wishes.quiet_start else None,
        "quiet_end": f"{wishes.quiet_end:%H:%M}" if wishes.quiet_end else None,
        "pages_in_quiet": wishes.pages_in_quiet,
        "digest": wishes.digest,
        "digest_at": f"{wishes.digest_at:%H:%M}",
    }
