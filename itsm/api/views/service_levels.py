"""The attainment of service levels over REST: the figures of the page and of manage.py report."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.api.schema import operation, query
from itsm.api.shapes import Outgoing
from itsm.api.views.base import ApiView
from itsm.kernel.errors import FieldProblem, Invalid
from itsm.reports.service_levels import GROUPS, service_level_report
from itsm.sla.models import Metric


class AttainmentOut(Outgoing):
    """Clocks that ended in the period. Shares are per cent; median and 90th percentile are time used, in per cent of the target."""

    metric = serializers.ChoiceField(choices=Metric.values)
    ended = serializers.IntegerField(help_text="met + missed + canceled.")
    met = serializers.IntegerField()
    missed = serializers.IntegerField()
    share_met_pct = serializers.FloatField(allow_null=True, help_text="Of those met or missed.")
    canceled = serializers.IntegerField(help_text="Ended without a verdict.")
    median_pct = serializers.FloatField(allow_null=True)
    p90_pct = serializers.FloatField(allow_null=True)


class MetricAttainmentOut(AttainmentOut):
    """All clocks of a metric, with those that were still open at the end of the period (or now, if that is sooner)."""

    open = serializers.IntegerField(help_text="Running or paused.")
    open_overdue = serializers.IntegerField(help_text="Of these, too late already.")


class GroupAttainmentOut(AttainmentOut):
    """Clocks of a metric by what stood when they ended. An empty key stands for none; names are those of today."""

    key = serializers.CharField(help_text="A priority, an id, a month such as 2026-11, or empty.", allow_blank=True)
    name = serializers.CharField(allow_blank=True)


class ServiceLevelReportOut(Outgoing):
    """Promises kept and missed on the tickets that the caller sees by a role at the desk, not as their requester."""

    at = serializers.DateTimeField()
    time_zone = serializers.CharField(help_text="The days of the period, and months, are in this zone.")
    locals()["from"] = serializers.DateField()
    to = serializers.DateField()
    metric = serializers.CharField(allow_blank=True, help_text="The one that was asked for; empty for all.")
    by = serializers.ChoiceField(choices=list(GROUPS))
    metrics = MetricAttainmentOut(many=True)
    groups = GroupAttainmentOut(many=True)


class ServiceLevelReportView(ApiView):
    """Which promises were kept in a period."""

    query_parameters = ("from", "to", "metric", "by")

    @operation(
        "GET",
        "reports_service_levels",
        "Attainment of service levels",
        tag="reports",
        answer=ServiceLevelReportOut,
        parameters=(
            query("from", "The first day, such as 2026-01-01. Default: the first of the month before that of `to`."),
            query("to", "The last day, included. Default: today."),
            query("metric", f"One of {', '.join(Metric.values)}. Default: all."),
            query("by", f"What to group by: {', '.join(GROUPS)}. Default: priority."),
        ),
    )
    def get(self, request: Request) -> Response:
        try:
            return Response(service_level_report(actor=self.actor, given=self.given))
        except Invalid as error:
            named = [FieldProblem(f"?{p.pointer.removeprefix('/')}", p.code, p.detail) for p in error.problems]
            raise Invalid(named, error.detail) from None
