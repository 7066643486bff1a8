"""On-call schedules for tests, made by the product's own commands."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from itsm.kernel import clock
from itsm.oncall.commands import add_override, create_feed, create_schedule
from itsm.oncall.layers import LayerRules
from itsm.oncall.models import OnCallSchedule
from tests.factories import Desk

BERLIN = ZoneInfo("Europe/Berlin")
#: A Thursday in the agent's week; hr's turn as well, who is alone in the layer behind.
THURSDAY = datetime(2026, 3, 5, 12, tzinfo=UTC)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def rules(desk: Desk, *people: str, **given: Any) -> LayerRules:
    fields: dict[str, Any] = {
        "name": "Week",
        "time_zone": "Europe/Berlin",
        "starts_on": date(2026, 3, 2),
        "handoff": time(9),
        "participants": [desk.people[one].pk for one in people],
        **given,
    }
    return LayerRules(**fields)


def make_schedule(desk: Desk, name: str = "Network", **given: Any) -> OnCallSchedule:
    """Agent, manager and owner take turns by the week in Berlin, hr stands behind by the day; unless told otherwise."""
    given.setdefault(
        "layers",
        [
            rules(desk, "hr", name="Behind", unit="days"),
            rules(desk, "agent", "manager", "owner"),
        ],
    )
    return create_schedule(actor=desk.system, name=name, **given)


def fill(desk: Desk, name: str) -> OnCallSchedule:
    """A schedule with an override ahead and somebody's calendar address, for tests that look for leaks."""
    schedule = make_schedule(desk, name)
    ahead = clock.now() + timedelta(days=1)
    add_override(
        actor=desk.system,
        schedule_id=schedule.pk,
        starts_at=ahead,
        ends_at=ahead + timedelta(days=1),
        person_id=desk.people["hr"].pk,
    )
    create_feed(actor=desk.actor("agent"), schedule_id=schedule.pk)
    return schedule
