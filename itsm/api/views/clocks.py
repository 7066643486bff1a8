"""The SLA clocks of a ticket, explained."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.api import queries
from itsm.api.shapes import Outgoing
from itsm.api.views.on_tickets import TicketView
from itsm.sla.explain import as_data, explain
from itsm.sla.models import Metric


class VersionOut(Outgoing):
    """A policy or calendar, and the version of it that holds."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()


class ClockCalendarOut(VersionOut):
    """The hours by which a clock runs, and their zone."""

    time_zone = serializers.CharField()


class IntervalOut(Outgoing):
    """A stretch between two operations of a clock. ``to`` is null while it lasts; business time in seconds."""

    locals()["from"] = serializers.DateTimeField()
    to = serializers.DateTimeField(allow_null=True)
    kind = serializers.ChoiceField(choices=["running", "paused", "stopped"])
    operation = serializers.CharField()
    reason = serializers.CharField()
    worked_seconds = serializers.FloatField()
    calendar = VersionOut()
    policy = VersionOut()
    promise = serializers.CharField()


class ThresholdOut(Outgoing):
    """A threshold as the policy writes it, when it is or was due, and when it fired."""

    threshold = serializers.CharField()
    due_at = serializers.DateTimeField(allow_null=True)
    fired_at = serializers.DateTimeField(allow_null=True)
    coalesced = serializers.BooleanField()


class ClockOut(Outgoing):
    """One promise about the ticket. What is used and left was computed ``at`` the moment of the answer, in business time."""

    id = serializers.UUIDField()
    metric = serializers.ChoiceField(choices=Metric.values)
    state = serializers.ChoiceField(choices=["running", "paused", "met", "missed", "canceled"])
    verdict = serializers.ChoiceField(choices=["running", "paused", "breached", "met", "missed", "canceled"])
    promise = serializers.CharField()
    cycle = serializers.IntegerField()
    policy = VersionOut()
    calendar = ClockCalendarOut()
    started_at = serializers.DateTimeField()
    paused_at = serializers.DateTimeField(allow_null=True)
    stopped_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)
    breached_at = serializers.DateTimeField(allow_null=True)
    target_seconds = serializers.FloatField(allow_null=True)
    elapsed_seconds = serializers.FloatField()
    left_seconds = serializers.FloatField(allow_null=True)
    percent = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    intervals = IntervalOut(many=True)
    thresholds = ThresholdOut(many=True)


class ClocksOut(Outgoing):
    """All clocks of a ticket, the oldest first; those that have ended are among them."""

    results = ClockOut(many=True)


class ClocksView(TicketView):
    """What the ticket is promised, and why each clock stands where it stands."""

    operations: ClassVar = {
        "GET": {"name": "clocks", "summary": "Explain the SLA clocks", "answer": ClocksOut},
    }

    def get(self, request: Request, key: str) -> Response:
        ticket = queries.find_ticket(self.actor, key, self.kind)
        return Response({"results": [as_data(found) for found in explain(self.actor, ticket)]})
