"""The incident report over REST: the figures of the page and of manage.py report."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incidents.reports import incident_report
from itsm.api.filters import instant, many
from itsm.api.routes import route
from itsm.api.schema import operation, query
from itsm.api.shapes import Outgoing
from itsm.api.views.base import ApiView

#: Most instants that one call may ask the backlog for.
_BACKLOGS_MAX = 36


def _counts(text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.IntegerField(), help_text=text)


def _hours(text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.FloatField(allow_null=True), help_text=text)


def _pairs(text: str) -> serializers.ListField:
    return serializers.ListField(child=serializers.ListField(child=serializers.JSONField()), help_text=text)


def _number(text: str) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=text)


class IncidentReportOut(Outgoing):
    """All figures about the incidents that the caller sees. Durations are hours; shares are per cent."""

    at = serializers.DateTimeField()
    time_zone = serializers.CharField(help_text="Months and backlog instants are in this zone.")
    cases = serializers.IntegerField(help_text="Incidents.")
    events = serializers.IntegerField(help_text="Their events; each left its incident in one state.")
    events_per_case = _hours("mean, median, max, min.")
    states = _counts("Events by the state they left.")
    first_state = _counts("Incidents by the state they began in.")
    last_state = _counts("Incidents by the state they are in.")
    priority_last = _counts("Incidents by priority.")
    impact_last = _counts("Incidents by impact.")
    urgency_last = _counts("Incidents by urgency.")
    impact_x_urgency_to_priority_last = _counts("Incidents by impact|urgency|priority.")
    channel_last = _counts("Incidents by the way they came in.")
    reopened_cases = serializers.IntegerField()
    reopen_rate_pct = _number("")
    reopen_max = _number("")
    reopen_count_dist_final_max = _counts("Incidents by how often they were reopened.")
    reassign_mean = _number("Changes of team an incident.")
    reassign_median = _number("")
    reassign_p90 = _number("")
    reassign_max = _number("")
    reassign_zero_cases = serializers.IntegerField()
    reassign_sum = serializers.IntegerField()
    resolution_hours = _hours("From opened to resolved: n, min, p25, median, p75, p90, mean, max.")
    close_hours = _hours("From opened to closed.")
    no_resolved_at_cases = serializers.IntegerField()
    median_resolution_hours_by_priority = _hours("")
    opened_by_month = _counts("")
    opened_range = serializers.ListField(
        child=serializers.DateTimeField(), help_text="First and last; empty without any."
    )
    closed_range = serializers.ListField(child=serializers.DateTimeField())
    updated_range = serializers.ListField(child=serializers.DateTimeField())
    open_backlog = _counts("Opened and not resolved by that instant.")
    open_now = serializers.IntegerField(help_text="In a new, active or waiting state now.")
    top_teams_last = _counts("The teams with the most incidents; `?` is none.")
    top_categories_last = _counts("The top categories with the most incidents.")
    team_changes = serializers.IntegerField()
    team_pingpong_cases = serializers.IntegerField(
        help_text="Incidents that came back to a team that had had them before."
    )
    requesters = serializers.IntegerField()
    variants_raw = serializers.IntegerField(help_text="Different ways through the states.")
    variants_collapsed = serializers.IntegerField(help_text="The same, repeats of a state taken as one.")
    top10_variants_collapsed = _pairs("[way, incidents].")
    dfg_edges = serializers.IntegerField(help_text="Different pairs of states that directly follow each other.")
    dfg_total = serializers.IntegerField()
    dfg_top = _pairs("[pair, times].")
    closed_to_other = serializers.IntegerField()
    resolved_to_open = serializers.IntegerField()


class IncidentReportView(ApiView):
    """The report over all incidents that the caller sees."""

    query_parameters = ("backlog_at",)

    @operation(
        "GET",
        "reports_incidents",
        "Incident report",
        tag="reports",
        answer=IncidentReportOut,
        parameters=(
            query("backlog_at", f"Up to {_BACKLOGS_MAX} RFC 3339 times, separated by commas. Default: the month ends."),
        ),
    )
    def get(self, request: Request) -> Response:
        instants = (
            many("backlog_at", self.given["backlog_at"], instant, _BACKLOGS_MAX) if "backlog_at" in self.given else []
        )
        return Response(incident_report(actor=self.actor, backlog_at=instants))


urlpatterns = route("reports/incidents/", IncidentReportView, "report-incidents")
