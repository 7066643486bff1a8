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
_TARGETS = {
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

    Safe to repeat: a desk that has calendars has made them its own, by whatever names.
    """
    if SlaCalendar.objects.filter(tenant_id=tenant_id).exists():
        return
    calendars = {
        ALWAYS: _calendar(tenant_id, ALWAYS, {"always": True}),
        OFFICE: _calendar(tenant_id, OFFICE, {"weekly": _OFFICE_HOURS}),
    }
    for position, (metric, targets) in enumerate(_TARGETS.items()):
        policy, _ = SlaPolicy.objects.get_or_create(
            tenant_id=tenant_id, name=_NAMES[metric], defaults={"metric": metric, "position": 100 + position}
        )
        rows: list[dict[str, Any]] = [
            {"when": {"priority": [priority]}, "target": target} for priority, target in enumerate(targets, start=1)
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
