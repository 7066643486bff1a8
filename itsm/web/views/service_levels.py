"""Service levels over a period, as a page and as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from itsm.access.decide import allows, authorize
from itsm.kernel.errors import Invalid
from itsm.reports.service_levels import last_end, service_level_report, service_levels_csv, zone_of
from itsm.sla.models import Metric
from itsm.web.pages import TenantRequest, tenant_page
from itsm.web.places import Place
from itsm.web.refusals import problem_text

SERVICE_LEVELS = Place(
    "report-service-levels", gettext_lazy("Service levels"), lambda actor: allows(actor, "report.read")
)
_ASKED = ("from", "to", "metric", "by")


@tenant_page
@require_safe
def page(request: TenantRequest) -> HttpResponse:
    """The figures that the address asks for. What cannot be used is named, and the usual ones are shown."""
    given, problems = _given(request), []
    try:
        report = service_level_report(actor=request.actor, given=given)
    except Invalid as error:
        problems = [(p.pointer.strip("/"), problem_text(p)) for p in error.problems]
        report = service_level_report(actor=request.actor, given={})
    context = {
        "report": report,
        "problems": problems,
        "first": parse_date(report["from"]),
        "last": parse_date(report["to"]),
        "metrics": [("", _("All"), not report["metric"])]
        + [(value, str(label), value == report["metric"]) for value, label in Metric.choices],
        "groups": [(value, label, value == report["by"]) for value, label in _group_labels().items()],
        "by": _group_labels()[report["by"]],
        "tables": _tables(report),
        "file": f"{reverse('report-service-levels-csv')}?{urlencode({name: report[name] for name in _ASKED})}",
        "exports": allows(request.actor, "ticket.export"),
        "elsewhere": "" if report["metrics"] else _elsewhere(request),
    }
    return render(request, "itsm/sla/report.html", context, status=400 if problems else 200)


@tenant_page
@require_safe
def file(request: TenantRequest) -> HttpResponse:
    """The same as CSV."""
    authorize(request.actor, "ticket.export")
    report = service_level_report(actor=request.actor, given=_given(request))
    response = HttpResponse(service_levels_csv(report), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="service-levels.csv"'
    return response


def _given(request: TenantRequest) -> dict[str, str]:
    return {name: request.GET[name].strip() for name in _ASKED if name in request.GET}


def _group_labels() -> dict[str, str]:
    return {
        "priority": _("Priority"),
        "team": _("Team"),
        "service": _("Service"),
        "organisation": _("Organisation"),
        "month": _("Month"),
        "policy": _("Policy"),
    }


def _tables(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A table for each metric: its groups, and all of them together."""
    return [
        {
            "label": str(Metric(total["metric"]).label),
            "total": _shown(total),
            "rows": [
                {"label": _label(report["by"], group), **_shown(group)}
                for group in report["groups"]
                if group["metric"] == total["metric"]
            ],
        }
        for total in report["metrics"]
    ]


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    return {**figures, "bar": f"{figures['share_met_pct'] or 0:.2f}"}


def _label(by: str, group: dict[str, Any]) -> str:
    if not group["key"]:
        return _("None")
    if by == "priority":
        return f"P{group['key']}"
    if by == "month" and (first := parse_date(f"{group['key']}-01")) is not None:
        return str(date_format(first, "YEAR_MONTH_FORMAT"))
    return str(group["name"])


def _elsewhere(request: TenantRequest) -> str:
    """The query of a period that shows something, for one that shows nothing."""
    last = last_end(request.actor)
    if last is None:
        return ""
    day = timezone.localtime(last, zone_of(request.actor)).date()
    return f"?{urlencode({'from': day.replace(day=1).isoformat(), 'to': day.isoformat()})}"


urlpatterns: list[URLPattern] = [
    path("service-levels/", page, name="report-service-levels"),
    path("service-levels.csv", file, name="report-service-levels-csv"),
]
