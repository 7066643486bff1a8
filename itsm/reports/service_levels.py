"""Attainment: which promises were kept in a period, by what stood when their clocks ended.

A clock counts in the period of its end, once: with its last end in it, unless it had been reopened before the period was
over. Ends are append-only and keep where their ticket stood (sla.models.SlaClockEvent), so a period that is over is told the
same for ever, whatever becomes of the tickets.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import (
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    UUIDField,
    When,
)
from django.db.models.functions import TruncMonth

from itsm.access.decide import authorize, desk_filter, visible_to
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Problems
from itsm.reports.spread import Quantile, rounded
from itsm.reports.tables import harmless
from itsm.sla.calendar import SECOND
from itsm.sla.models import ENDS, Metric, SlaClockEvent
from itsm.sla.targets import SECONDS_MAX
from itsm.tenancy.context import tenant
from itsm.tenancy.models import TenantSettings
from itsm.tenancy.patience import patient

Report = dict[str, Any]

#: What the figures can be grouped by, beside the metric: key and name of a group, as they are looked up.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "priority": ("priority",),
    "team": ("team_key", "team__name"),
    "service": ("service_id", "service__name"),
    "organisation": ("organisation_id", "organisation__name"),
    "month": ("month",),
    "policy": ("policy_version_id", "policy_version__policy__name", "policy_version__version"),
}
COLUMNS: Final = (
    "metric", "key", "name", "ended", "met", "missed", "share_met_pct", "canceled", "median_pct", "p90_pct",
)  # fmt: skip
#: Years that a period may lie in: what every time zone can say in UTC, and nobody works outside of.
_FIRST, _LAST = date(1970, 1, 2), date(2199, 12, 31)
_TICKET = "clock__ticket__"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both ends included, in the desk's zone."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, time(), self.zone)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), self.zone)


@dataclass(frozen=True, slots=True)
class Question:
    """What to report: the period, one metric or (empty) all of them, and what to group by."""

    period: Period
    metric: str = ""
    by: str = "priority"


def zone_of(actor: Actor) -> ZoneInfo:
    """The desk's zone."""
    name = TenantSettings.objects.filter(tenant_id=actor.tenant_id).values_list("time_zone", flat=True).first()
    return ZoneInfo(name or "UTC")


def question(zone: ZoneInfo, given: Mapping[str, str]) -> Question:
    """What ``from``, ``to`` (dates), ``metric`` and ``by`` ask for; by default this month and the one before, by priority.

    Raises Invalid naming each that cannot be used.
    """
    problems = Problems()
    today = clock.now().astimezone(zone).date()
    last = _day(problems, "to", given.get("to", "")) or today
    first = _day(problems, "from", given.get("from", "")) or (last.replace(day=1) - timedelta(days=1)).replace(day=1)
    if first > last and not problems.found:
        problems.add(
            "to", "reversed", f"The period ends on {last} and begins on {first}. Give an end after its beginning."
        )
    metric, by = given.get("metric", ""), given.get("by", "") or "priority"
    for name, value, known in (("metric", metric, ("", *Metric.values)), ("by", by, tuple(GROUPS))):
        if value not in known:
            choices = ", ".join(one for one in known if one)
            problems.add(name, "unknown_value", f"{value[:40]} is not one of {choices}.", known=choices)
    problems.raise_if_any()
    return Question(Period(first, last, zone), metric, by)


def _day(problems: Problems, name: str, value: str) -> date | None:
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or len(value) != 10 or not _FIRST <= found <= _LAST:
        problems.add(name, "not_a_date", f"{name} takes a date such as 2026-01-31, from {_FIRST} to {_LAST}.")
        return None
    return found


def service_level_report(*, actor: Actor, given: Mapping[str, str]) -> Report:
    """Promises kept and missed on the tickets that the actor sees by its role, as plain JSON values.

    ``given`` is as question() reads it. Shares are per cent of those met or missed; median and 90th percentile are business
    time used, in per cent of the target. Raises Invalid and Forbidden.
    """
    with tenant(actor.tenant_id):
        authorize(actor, "report.read")
        asked = question(zone_of(actor), given)
        with patient():
            ended = _ended(actor, asked)
            totals = {row["metric"]: row for row in _figures(ended, asked, ())}
            standing = _standing(actor, asked)
            return {
                "at": clock.now().isoformat(timespec="seconds"),
                "time_zone": str(asked.period.zone),
                "from": asked.period.first.isoformat(),
                "to": asked.period.last.isoformat(),
                "metric": asked.metric,
                "by": asked.by,
                "metrics": [
                    {**_row(metric, totals.get(metric, {})), **_open(standing.get(metric, (0, 0)))}
                    for metric in Metric.values
                    if metric in totals or metric in standing
                ],
                "groups": [_group(asked.by, row) for row in _figures(ended, asked, GROUPS[asked.by])],
            }


def last_end(actor: Actor) -> datetime | None:
    """When a clock that the actor sees ended last: where there is something to report, when a period shows nothing."""
    found: datetime | None = _seen(actor).order_by("-at").values_list("at", flat=True).first()
    return found


def _seen(actor: Actor) -> QuerySet[SlaClockEvent]:
    """Ends of clocks of the tickets that the actor sees by a role at the desk: whoever only waits for one is told none of it."""
    ends = visible_to(actor, SlaClockEvent.objects.filter(operation__in=ENDS), _TICKET)
    return ends.filter(desk_filter(actor, "ticket.read", _TICKET))


def _ended(actor: Actor, asked: Question) -> QuerySet[Any]:
    end = asked.period.end
    reopened = SlaClockEvent.objects.filter(
        tenant_id=OuterRef("tenant_id"),
        clock_id=OuterRef("clock_id"),
        operation="reopen",
        generation__gt=OuterRef("generation"),
        at__lt=end,
    )
    ended = _seen(actor).filter(~Exists(reopened), at__gte=asked.period.begin, at__lt=end)
    if asked.metric:
        ended = ended.filter(clock__metric=asked.metric)
    # A restricted team is not told, even where the ticket has left it since.
    team = Case(When(team_id__in=sorted(actor.hidden_teams), then=None), default=F("team_id"), output_field=UUIDField())
    percent = ExpressionWrapper(F("elapsed") * 100.0 / F("target"), output_field=FloatField())
    return ended.annotate(
        metric=F("clock__metric"),
        team_key=team if actor.hidden_teams else F("team_id"),
        month=TruncMonth("at", tzinfo=asked.period.zone),
        # Of a target that no calendar ever reaches, nothing is a share.
        used=Case(When(operation="stop", target__lt=SECONDS_MAX * SECOND, then=percent), output_field=FloatField()),
    )


def _figures(ended: QuerySet[Any], asked: Question, by: Sequence[str]) -> list[dict[str, Any]]:
    stopped = Q(operation="stop")
    found = ended.values("metric", *by).annotate(
        met=Count("pk", filter=stopped & Q(elapsed__lte=F("target"))),
        missed=Count("pk", filter=stopped & Q(elapsed__gt=F("target"))),
        canceled=Count("pk", filter=Q(operation="cancel")),
        median=Quantile("used", 0.5),
        p90=Quantile("used", 0.9),
    )
    order = list(Metric.values)
    return sorted(
        found, key=lambda row: (order.index(row["metric"]), *(_place(row[name]) for name in (*by[1:], *by[:1])))
    )


def _place(value: Any) -> tuple[bool, Any]:
    """Groups in the order of their names, the one without a name last."""
    return (value is None, "" if value is None else value.casefold() if isinstance(value, str) else value)


def _row(metric: str, found: Mapping[str, Any]) -> dict[str, Any]:
    met, missed = found.get("met", 0), found.get("missed", 0)
    return {
        "metric": metric,
        "ended": met + missed + found.get("canceled", 0),
        "met": met,
        "missed": missed,
        "share_met_pct": rounded(100 * met / (met + missed)) if met + missed else None,
        "canceled": found.get("canceled", 0),
        "median_pct": rounded(found.get("median")),
        "p90_pct": rounded(found.get("p90")),
    }


def _open(standing: tuple[int, int]) -> dict[str, int]:
    return {"open": standing[0], "open_overdue": standing[1]}


def _group(by: str, row: Mapping[str, Any]) -> dict[str, Any]:
    value, names = row[GROUPS[by][0]], [row[name] for name in GROUPS[by][1:]]
    key = value.strftime("%Y-%m") if isinstance(value, datetime) else "" if value is None else str(value)
    name = " v".join(map(str, names)) if names else key
    return {**_row(row["metric"], row), "key": key, "name": name if key else ""}


def _standing(actor: Actor, asked: Question) -> dict[str, tuple[int, int]]:
    """By metric: clocks that ran or waited when the period was over (or now, in one that is not), and those too late already."""
    end = min(asked.period.end, clock.now())
    candidates = SlaClockEvent.objects.filter(
        Q(clock__stopped_at__isnull=True) | Q(clock__stopped_at__gte=end), clock__started_at__lt=end, at__lt=end
    )
    seen = visible_to(actor, candidates, _TICKET).filter(desk_filter(actor, "ticket.read", _TICKET))
    if asked.metric:
        seen = seen.filter(clock__metric=asked.metric)
    last = seen.order_by("clock_id", "-generation").distinct("clock_id")
    sql, parameters = last.values_list(
        "clock__metric", "operation", "due_at", "elapsed", "target"
    ).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT metric, count(*), count(*) FILTER (WHERE due_at < %s OR elapsed > target)
            FROM ({sql}) AS last(metric, operation, due_at, elapsed, target)
            WHERE operation NOT IN ('stop', 'cancel') GROUP BY metric
            """,
            [end, *parameters],
        )
        return {metric: (count, late) for metric, count, late in cursor.fetchall()}


def table(report: Report) -> Iterator[list[Any]]:
    """Head and rows of the figures: each metric's total (no key), then its groups."""
    yield list(COLUMNS)
    for total in report["metrics"]:
        for row in (total, *(group for group in report["groups"] if group["metric"] == total["metric"])):
            yield ["" if row.get(name) is None else row[name] for name in COLUMNS]


def service_levels_csv(report: Report) -> str:
    """The table as CSV (UTF-8 with a byte order mark; no cell is a formula)."""
    out = io.StringIO()
    csv.writer(out).writerows([harmless(cell) for cell in row] for row in table(report))
    return "\ufeff" + out.getvalue()
