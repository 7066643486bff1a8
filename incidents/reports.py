"""The incident report: what the spine and the event log say about all incidents that the actor sees.

The same figures for imported history and for incidents that were worked on here; imported rows count in the words of the
system that recorded them. docs/guides/importing.md defines each figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Avg, Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMonth
from django.utils import translation

from incidents.flow import FLOW, KIND
from itsm.access.decide import authorize, visible_to
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.reports.handoffs import handoffs
from itsm.reports.paths import ARROW, Paths, read_paths
from itsm.reports.spread import Quantile, hours_between, quantile, rounded
from itsm.tenancy.context import tenant
from itsm.tenancy.models import TenantSettings
from itsm.tenancy.patience import patient
from itsm.tickets.models import Ticket
from itsm.tickets.placement import told_placement

Report = dict[str, Any]

#: ServiceNow's words for the levels.
PRIORITY: Final = {1: "1 - Critical", 2: "2 - High", 3: "3 - Moderate", 4: "4 - Low", 5: "5 - Planning"}
LEVEL: Final = {1: "1 - High", 2: "2 - Medium", 3: "3 - Low"}
#: Dates for which the backlog is given when nobody asks for others: the last minutes of so many months.
_MONTHS_MAX: Final = 36
_KINDS: Final = ("incident.", "ticket.")
_OPEN: Final = ("new", "active", "waiting")


def incident_report(*, actor: Actor, backlog_at: Sequence[datetime] = (), top: int = 10) -> Report:
    """All figures, as plain JSON values. Durations are hours, shares are per cent, both with four digits.

    ``backlog_at`` are the instants to give the backlog for (default: the end of each month in which incidents were
    opened). Raises Forbidden.
    """
    with tenant(actor.tenant_id):
        authorize(actor, "report.read")
        zone = _zone(actor)
        with patient(whole_tables=True), translation.override("en"):
            cases = visible_to(actor, Ticket.objects.filter(kind=KIND))
            labels = {state.code: str(state.label) for state in FLOW.states.values()}
            paths = read_paths(actor.tenant_id, cases, _KINDS, labels)
            report: Report = {"at": clock.now().isoformat(timespec="seconds"), "time_zone": str(zone)}
            report |= _counts(cases, paths)
            report |= _levels(cases)
            report |= _repeats(cases)
            report |= _durations(cases)
            report |= _calendar(cases, zone)
            report["updated_range"] = _range(paths.begun, paths.ended)
            report["open_backlog"] = _backlog(cases, backlog_at or _month_ends(report["opened_by_month"], zone), zone)
            report |= _groups(actor, cases, top)
            report |= _ways(paths, top)
    return report


def _zone(actor: Actor) -> ZoneInfo:
    name = TenantSettings.objects.filter(tenant_id=actor.tenant_id).values_list("time_zone", flat=True).first()
    return ZoneInfo(name or "UTC")


def _counts(cases: QuerySet[Any], paths: Paths) -> Report:
    lengths = paths.lengths()
    events, told = sum(n * times for n, times in lengths.items()), sum(lengths.values())
    return {
        "cases": cases.count(),
        "events": events,
        "events_per_case": {
            "mean": rounded(events / told) if told else None,
            "median": rounded(quantile(lengths, 0.5)),
            "max": max(lengths, default=None),
            "min": min(lengths, default=None),
        },
        "states": _by_count(paths.states()),
        "first_state": _by_count(paths.first()),
        "last_state": _by_count(paths.last()),
    }


def _levels(cases: QuerySet[Any]) -> Report:
    found = cases.values("impact", "urgency", "priority").annotate(n=Count("pk"))
    counted = {(row["impact"], row["urgency"], row["priority"]): row["n"] for row in found}
    by: dict[str, Counter[str]] = {"priority_last": Counter(), "impact_last": Counter(), "urgency_last": Counter()}
    matrix: Counter[str] = Counter()
    for (impact, urgency, priority), n in counted.items():
        named = (
            LEVEL.get(impact, str(impact)),
            LEVEL.get(urgency, str(urgency)),
            PRIORITY.get(priority, str(priority)),
        )
        by["impact_last"][named[0]] += n
        by["urgency_last"][named[1]] += n
        by["priority_last"][named[2]] += n
        matrix["|".join(named)] += n
    return {
        **{name: _by_count(counts) for name, counts in by.items()},
        "impact_x_urgency_to_priority_last": dict(sorted(matrix.items())),
        "channel_last": _by_count(Counter(_pairs(cases, "channel"))),
    }


def _repeats(cases: QuerySet[Any]) -> Report:
    found = cases.aggregate(
        cases=Count("pk"),
        reopened=Count("pk", filter=Q(reopen_count__gt=0)),
        most=Max("reopen_count"),
        mean=Avg("reassignment_count"),
        median=Quantile("reassignment_count", 0.5),
        p90=Quantile("reassignment_count", 0.9),
        furthest=Max("reassignment_count"),
        never=Count("pk", filter=Q(reassignment_count=0)),
        total=Sum("reassignment_count"),
    )
    return {
        "reopened_cases": found["reopened"],
        "reopen_rate_pct": rounded(100 * found["reopened"] / found["cases"]) if found["cases"] else None,
        "reopen_max": found["most"],
        "reopen_count_dist_final_max": {str(n): times for n, times in sorted(_pairs(cases, "reopen_count").items())},
        "reassign_mean": rounded(found["mean"]),
        "reassign_median": rounded(found["median"]),
        "reassign_p90": rounded(found["p90"]),
        "reassign_max": found["furthest"],
        "reassign_zero_cases": found["never"],
        "reassign_sum": found["total"] or 0,
    }


def _durations(cases: QuerySet[Any]) -> Report:
    resolution, closing = hours_between("opened_at", "resolved_at"), hours_between("opened_at", "closed_at")
    by_priority = (
        cases.filter(resolved_at__isnull=False)
        .annotate(hours=resolution)
        .values("priority")
        .annotate(median=Quantile("hours", 0.5))
        .order_by("priority")
    )
    return {
        "resolution_hours": _spread(cases, resolution),
        "close_hours": _spread(cases, closing),
        "no_resolved_at_cases": cases.filter(resolved_at__isnull=True).count(),
        "median_resolution_hours_by_priority": {
            PRIORITY.get(row["priority"], str(row["priority"])): rounded(row["median"]) for row in by_priority
        },
    }


def _spread(cases: QuerySet[Any], hours: Any) -> dict[str, float | None]:
    found = cases.annotate(hours=hours).aggregate(
        n=Count("hours"),
        min=Min("hours"),
        p25=Quantile("hours", 0.25),
        median=Quantile("hours", 0.5),
        p75=Quantile("hours", 0.75),
        p90=Quantile("hours", 0.9),
        mean=Avg("hours"),
        max=Max("hours"),
    )
    return {name: value if name == "n" else rounded(value) for name, value in found.items()}


def _calendar(cases: QuerySet[Any], zone: ZoneInfo) -> Report:
    months = cases.annotate(month=TruncMonth("opened_at", tzinfo=zone)).values("month").annotate(n=Count("pk"))
    ends = cases.aggregate(
        opened=Min("opened_at"), opened_last=Max("opened_at"), closed=Min("closed_at"), closed_last=Max("closed_at")
    )
    return {
        "opened_by_month": {row["month"].strftime("%Y-%m"): row["n"] for row in months.order_by("month")},
        "opened_range": _range(ends["opened"], ends["opened_last"]),
        "closed_range": _range(ends["closed"], ends["closed_last"]),
    }


def _range(first: datetime | None, last: datetime | None) -> list[str]:
    return [] if first is None or last is None else [first.isoformat(), last.isoformat()]


def _month_ends(opened_by_month: Mapping[str, int], zone: ZoneInfo) -> list[datetime]:
    """The last minute of each of the last months in which something was opened."""
    ends = []
    for month in list(opened_by_month)[-_MONTHS_MAX:]:
        year, number = (int(part) for part in month.split("-"))
        after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
        ends.append(after - timedelta(minutes=1))
    return ends


def _backlog(cases: QuerySet[Any], instants: Iterable[datetime], zone: ZoneInfo) -> dict[str, int]:
    """Incidents that were opened by then and not resolved by then, whatever became of them later."""
    wanted = {instant.astimezone(zone).strftime("%Y-%m-%d %H:%M"): instant.astimezone(UTC) for instant in instants}
    if not wanted:
        return {}
    found = cases.aggregate(
        **{
            f"at_{n}": Count("pk", filter=Q(opened_at__lte=then) & ~Q(resolved_at__isnull=False, resolved_at__lte=then))
            for n, then in enumerate(wanted.values())
        }
    )
    return {key: found[f"at_{n}"] for n, key in enumerate(wanted)}


def _groups(actor: Actor, cases: QuerySet[Any], top: int) -> Report:
    moves, returned = handoffs(actor.tenant_id, cases)
    named = told_placement(actor, cases)
    by_category = cases.annotate(root=Coalesce("category__parent__name", "category__name")).values("root")
    return {
        "open_now": cases.filter(state_category__in=_OPEN).count(),
        "top_teams_last": _top(
            {row["team__name"] or "?": row["n"] for row in _counted(named.values("team__name"))}, top
        ),
        "top_categories_last": _top({row["root"] or "?": row["n"] for row in _counted(by_category)}, top),
        "team_changes": moves,
        "team_pingpong_cases": returned,
        "requesters": cases.aggregate(n=Count("requester_id", distinct=True))["n"],
    }


def _counted(grouped: QuerySet[Any]) -> QuerySet[Any]:
    counted: QuerySet[Any] = grouped.annotate(n=Count("pk"))
    return counted


def _ways(paths: Paths, top: int) -> Report:
    collapsed, edges = paths.collapsed(), paths.edges()
    categories = {
        label: FLOW.states[code].category.value
        for label in paths.codes
        if (code := paths.meaning(label)) is not None and code in FLOW.states
    }
    return {
        "variants_raw": len(paths.raw),
        "variants_collapsed": len(collapsed),
        "top10_variants_collapsed": _listed({ARROW.join(path): n for path, n in collapsed.items()}, top),
        "dfg_edges": len(edges),
        "dfg_total": sum(edges.values()),
        "dfg_top": _listed({ARROW.join(edge): n for edge, n in edges.items()}, top + 2),
        "closed_to_other": sum(
            n for (a, b), n in edges.items() if categories.get(a) == "closed" and categories.get(b) != "closed"
        ),
        "resolved_to_open": sum(
            n for (a, b), n in edges.items() if categories.get(a) == "done" and categories.get(b) in _OPEN
        ),
    }


def _pairs(cases: QuerySet[Any], field: str) -> dict[Any, int]:
    return {row[field]: row["n"] for row in _counted(cases.values(field))}


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _top(counts: Mapping[str, int], top: int) -> dict[str, int]:
    return dict(list(_by_count(counts).items())[:top])


def _listed(counts: Mapping[str, int], top: int) -> list[list[Any]]:
    return [[name, n] for name, n in _top(counts, top).items()]
