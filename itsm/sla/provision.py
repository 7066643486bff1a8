"""What a new tenant is promised before anybody has decided anything: sensible, visible and easy to change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from itsm.kernel import clock
from itsm.sla.models import Metric, SlaCalendar, SlaCalendarVersion, SlaPolicy, SlaPolicyVersion
from itsm.tenancy.models import TenantSettings

ALWAYS, OFFICE = "24x7", "Office hours"
_OFFICE_HOURS = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
#: Target by priority. Critical work goes on round the clock, everything else in office hours.
TARGETS = {
    Metric.RESPONSE: ("15m", "30m", "2h", "4h", "1bd"),
    Metric.RESOLUTION: ("4h", "8h", "24h", "40h", "80h"),
    # Between two updates about a major incident.
    Metric.CADENCE: ("30m", "1h", "1h", "1h", "1h"),
}
_NAMES = {Metric.RESPONSE: "Response", Metric.RESOLUTION: "Resolution", Metric.CADENCE: "Updates on major incidents"}
#: Metrics that nobody's office hours stop.
_ALWAYS = frozenset({Metric.CADENCE})


def provision(tenant_id: UUID) -> None:
    """Two calendars in the desk's zone, and targets by priority for each of these metrics.

    Safe to repeat: a desk that has calendars has made them its own, by whatever names. One that had them before there were
    major incidents gets the promise of news about those, and nothing else.
    """
    if SlaCalendar.objects.filter(tenant_id=tenant_id).exists():
        if not SlaPolicy.objects.filter(tenant_id=tenant_id, metric=Metric.CADENCE).exists():
            _policy(tenant_id, Metric.CADENCE, {ALWAYS: _round_the_clock(tenant_id)})
        return
    calendars = {
        ALWAYS: _calendar(tenant_id, ALWAYS, {"always": True}),
        OFFICE: _calendar(tenant_id, OFFICE, {"weekly": _OFFICE_HOURS}),
    }
    for metric in TARGETS:
        _policy(tenant_id, metric, calendars)


def _policy(tenant_id: UUID, metric: Metric, calendars: dict[str, UUID]) -> None:
    """The default policy of a metric, last in order."""
    policy, _ = SlaPolicy.objects.get_or_create(
        tenant_id=tenant_id,
        name=_free(tenant_id, _NAMES[metric], metric),
        defaults={"metric": metric, "position": 100 + list(TARGETS).index(metric)},
    )
    rows: list[dict[str, Any]] = [
        {"when": {"priority": [priority]}, "target": target} for priority, target in enumerate(TARGETS[metric], start=1)
    ]
    rows[0]["calendar"] = str(calendars[ALWAYS])
    hours = calendars[ALWAYS if metric in _ALWAYS else OFFICE]
    SlaPolicyVersion.objects.get_or_create(
        tenant_id=tenant_id,
        policy=policy,
        version=1,
        defaults={
            "terms": {"calendar": str(hours), "targets": rows},
            "created_at": clock.now(),
        },
    )


def _free(tenant_id: UUID, name: str, metric: Metric) -> str:
    """The name, or another one where the desk calls something else so."""
    taken = SlaPolicy.objects.filter(tenant_id=tenant_id).exclude(metric=metric)
    return f"{name} (2)" if taken.filter(name=name).exists() else name


def _round_the_clock(tenant_id: UUID) -> UUID:
    """A calendar of the desk that is round the clock now, whatever its name; a new one where there is none."""
    for calendar in SlaCalendar.objects.filter(tenant_id=tenant_id, is_active=True).order_by("name"):
        versions = SlaCalendarVersion.objects.filter(tenant_id=tenant_id, calendar_id=calendar.pk).order_by("-version")
        newest = versions.values_list("hours", flat=True).first() or {}
        if newest.get("always") and not newest.get("exceptions"):
            return UUID(str(calendar.pk))
    taken = set(SlaCalendar.objects.filter(tenant_id=tenant_id).values_list("name", flat=True))
    name = next(one for one in (ALWAYS, _NAMES[Metric.CADENCE], f"{ALWAYS} (2)") if one not in taken)
    return _calendar(tenant_id, name, {"always": True})


def _calendar(tenant_id: UUID, name: str, hours: dict[str, Any]) -> UUID:
    calendar, _ = SlaCalendar.objects.get_or_create(
        tenant_id=tenant_id, name=name, defaults={"time_zone": _zone(tenant_id)}
    )
    SlaCalendarVersion.objects.get_or_create(
        tenant_id=tenant_id,
        calendar=calendar,
        version=1,
        defaults={
            "effective_from": clock.now().date(),
            "hours": {"timezone": calendar.time_zone, **hours, "exceptions": {}},
            "created_at": clock.now(),
        },
    )
    pk: UUID = calendar.pk
    return pk


def _zone(tenant_id: UUID) -> str:
    return TenantSettings.objects.filter(tenant_id=tenant_id).values_list("time_zone", flat=True).first() or "UTC"
