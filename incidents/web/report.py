"""The incident report as a page and as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from incidents.reports import incident_report
from itsm.access.decide import authorize
from itsm.reports.tables import as_csv
from itsm.web.pages import TenantRequest, tenant_page

#: The figures by section, each with what it is called.
SECTIONS = (
    (
        _("Overview"),
        (
            ("cases", _("Incidents")),
            ("open_now", _("Open now")),
            ("events", _("Events")),
            ("events_per_case", _("Events per incident")),
            ("requesters", _("Requesters")),
            ("reopened_cases", _("Reopened incidents")),
            ("reopen_rate_pct", _("Reopened, per cent")),
            ("reopen_max", _("Most reopenings of one incident")),
            ("reassign_mean", _("Changes of team, mean")),
            ("reassign_median", _("Changes of team, median")),
            ("reassign_p90", _("Changes of team, 90th percentile")),
            ("reassign_max", _("Changes of team, most")),
            ("reassign_zero_cases", _("Incidents that stayed with one team")),
            ("team_pingpong_cases", _("Incidents that came back to an earlier team")),
            ("no_resolved_at_cases", _("Incidents without a time of resolution")),
        ),
    ),
    (
        _("Time in hours"),
        (
            ("resolution_hours", _("Opened to resolved")),
            ("close_hours", _("Opened to closed")),
            ("median_resolution_hours_by_priority", _("Opened to resolved, median by priority")),
        ),
    ),
    (
        _("Volume"),
        (
            ("opened_by_month", _("Opened by month")),
            ("open_backlog", _("Opened and not resolved by then")),
            ("priority_last", _("Priority")),
            ("impact_last", _("Impact")),
            ("urgency_last", _("Urgency")),
            ("channel_last", _("Channel")),
            ("top_teams_last", _("Teams")),
            ("top_categories_last", _("Categories")),
        ),
    ),
    (
        _("Ways through the process"),
        (
            ("states", _("Events by state")),
            ("first_state", _("First state")),
            ("last_state", _("State now")),
            ("variants_raw", _("Different ways")),
            ("variants_collapsed", _("Different ways, repeated states taken as one")),
            ("top10_variants_collapsed", _("Most frequent ways")),
            ("dfg_edges", _("Different steps from state to state")),
            ("dfg_total", _("Steps")),
            ("dfg_top", _("Most frequent steps")),
            ("closed_to_other", _("Steps out of a closed state")),
            ("resolved_to_open", _("Steps from resolved back to open")),
        ),
    ),
)


def _rows(value: Any) -> list[tuple[str, Any]]:
    return [(str(key), item) for key, item in (value.items() if isinstance(value, dict) else value)]


@tenant_page
@require_safe
def page(request: TenantRequest) -> HttpResponse:
    """All figures in tables."""
    report = incident_report(actor=request.actor)
    sections = [
        {
            "title": title,
            "figures": [(label, report[name]) for name, label in figures if not isinstance(report[name], (dict, list))],
            "tables": [
                (label, _rows(report[name])) for name, label in figures if isinstance(report[name], (dict, list))
            ],
        }
        for title, figures in SECTIONS
    ]
    return render(request, "incidents/report.html", {"sections": sections, "zone": report["time_zone"]})


@tenant_page
@require_safe
def file(request: TenantRequest) -> HttpResponse:
    """The same as CSV."""
    authorize(request.actor, "ticket.export")
    response = HttpResponse(as_csv(incident_report(actor=request.actor)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="incidents.csv"'
    return response


urlpatterns: list[URLPattern] = [
    path("incidents/", page, name="report-incidents"),
    path("incidents.csv", file, name="report-incidents-csv"),
]
