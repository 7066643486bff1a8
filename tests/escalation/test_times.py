"""When a step is due: wall time, business time, closed hours, windows of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from itsm.escalation.steps import Within, read_steps
from itsm.kernel.errors import Invalid
from itsm.sla.models import SlaCalendar, SlaCalendarVersion
from tests.escalation.chains import TEAM, policy, run_of, start, steps, tick
from tests.factories import Desk
from tests.sla.desk import at, on

LONDON = ZoneInfo("Europe/London")


def calendar(desk: Desk, zone: str = "UTC", **hours: Any) -> str:
    with desk.inside():
        row = SlaCalendar.objects.create(name="Team hours", time_zone=zone)
        week = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
        written = {"timezone": zone, "weekly": week, "exceptions": {}, **hours}
        SlaCalendarVersion.objects.create(calendar=row, version=1, effective_from=on(1, 0).date(), hours=written)
    return str(row.pk)


@pytest.mark.django_db
def test_business_time_waits_for_the_next_day(acme: Desk) -> None:
    hours = calendar(acme)
    chain = policy(acme, {"after": "2h", "business": True, "do": [TEAM]}, ("1h", TEAM), calendar=hours)
    with at(1, 16):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    # An hour is left on Monday, so the first step is on Tuesday at ten; the second counts by the wall.
    assert run_of(acme, ticket).step_due == [on(2, 10), on(2, 11), on(2, 11, 15)]


@pytest.mark.django_db
def test_closed_hours_defer_to_the_next_opening(acme: Desk) -> None:
    """A reminder in the night is no reminder: Friday 16:50, the weekend between."""
    chain = policy(acme, ("5m", TEAM), ("15m", TEAM), ("5m", TEAM), within_calendar=calendar(acme))
    with at(5, 16, 50):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    assert run_of(acme, ticket).step_due[:3] == [on(5, 16, 55), on(8, 9), on(8, 9, 5)]
    assert [tick(on(5, 16, 55)), tick(on(6, 12)), tick(on(8, 8, 59)), tick(on(8, 9))] == [1, 0, 0, 1]


@pytest.mark.django_db
def test_hours_that_never_come_are_no_endless_search(acme: Desk) -> None:
    chain = policy(acme, ("5m", TEAM), within_calendar=calendar(acme, weekly={}))
    with at(1, 10):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    run = run_of(acme, ticket)
    assert (run.state, run.next_due_at, run.step_due) == ("running", None, [None, None])


@pytest.mark.parametrize("day", ["2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26"])
def test_a_window_stays_on_the_wall_clock_over_both_changes(day: str) -> None:
    """Pain 9: 08:30 to 17:30 in London, whatever UTC says: the Friday before and the Monday after."""
    window = Within(8 * 60 + 30, 17 * 60 + 30, frozenset(range(5)), "Europe/London")
    for wall, holds in (("08:29:59", False), ("08:30:00", True), ("17:29:59", True), ("17:30:00", False)):
        local = datetime.fromisoformat(f"{day}T{wall}").replace(tzinfo=LONDON)
        assert window.holds(local.astimezone(UTC), ZoneInfo("Asia/Tokyo")) is holds, wall


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    night = Within(22 * 60, 6 * 60, frozenset({4}), "")
    friday = on(5, 22)
    found = [night.holds(friday + timedelta(hours=hours), ZoneInfo("UTC")) for hours in (-1, 0, 7, 8, 24, -17)]
    assert found == [False, True, True, False, False, False]


@pytest.mark.django_db
def test_a_step_outside_its_window_is_passed_over_and_says_so(acme: Desk) -> None:
    window = {"from": "08:30", "to": "17:30", "days": ["mon"], "time_zone": "Europe/London"}
    chain = policy(
        acme,
        {"do": [TEAM], "if": {"within": window}},
        {"after": "1h", "do": [TEAM], "if": {"within": window, "priority_at_least": 2}},
        {"do": [TEAM], "if": {"unacknowledged": True, "priority_at_least": 5}},
    )
    with at(1, 17, 29):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    assert [tick(on(1, 17, 29)), tick(on(1, 18, 29)), tick(on(1, 18, 29))] == [1, 1, 1]
    assert [one["unmet"] for one in steps(acme, ticket)] == [[], ["priority_at_least", "within"], []]
    assert [len(one["actions"]) for one in steps(acme, ticket)] == [1, 0, 1]


@pytest.mark.django_db
def test_after_an_outage_a_condition_that_fails_does_not_silence_what_it_overtook(acme: Desk) -> None:
    critical = {"after": "5m", "do": [TEAM], "if": {"priority_at_least": 1}}
    chain = policy(acme, {"do": [TEAM]}, critical)
    with at(1, 10):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    tick(on(1, 10, 6))
    (taken,) = steps(acme, ticket)
    assert (taken["step"], taken["skipped"], taken["unmet"]) == (0, [1], [])


@pytest.mark.django_db
@pytest.mark.parametrize("own", [True, False], ids=["of the team", "of the desk"])
def test_a_window_without_a_zone_is_the_teams_or_the_desks(acme: Desk, own: bool) -> None:
    always = {"weekly": {day: [["00:00", "24:00"]] for day in ("mon", "tue")}}
    extra = {"within_calendar": calendar(acme, "Asia/Tokyo", **always)} if own else {}
    chain = policy(acme, {"do": [TEAM], "if": {"within": {"from": "18:00", "to": "20:00"}}}, **extra)
    # 10:00 in UTC, which is the desk's zone, is 19:00 in Tokyo.
    with at(1, 10):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    tick(on(1, 10))
    assert [one["unmet"] for one in steps(acme, ticket)] == [[] if own else ["within"]]


def refusal(**terms: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read_steps({"steps": [{"do": [TEAM]}], **terms})
    return [(problem.pointer.removeprefix("/terms/"), problem.code) for problem in caught.value.problems]


def _do(**action: Any) -> dict[str, Any]:
    return {"steps": [{"do": [action]}]}


_WINDOW = ("steps/0/if/within", "bad_window")


def _within(**window: Any) -> dict[str, Any]:
    return {"steps": [{"do": [TEAM], "if": {"within": window}}]}


def _by(**trigger: Any) -> dict[str, Any]:
    return {"triggers": [trigger]}


_NINE = {"from": "09:00", "to": "10:00"}
BAD: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no steps", {"steps": []}, [("steps", "required")]),
    ("steps no list", {"steps": "x"}, [("steps", "required")]),
    ("step no object", {"steps": [7]}, [("steps/0", "bad_step")]),
    ("21 steps", {"steps": [{"do": [TEAM]}] * 21}, [("steps", "required")]),
    ("nothing to do", {"steps": [{"do": []}]}, [("steps/0/do", "not_a_list")]),
    ("unknown action", _do(action="shout"), [("steps/0/do/0/action", "unknown_action")]),
    ("action no object", {"steps": [{"do": ["notify_team"]}]}, [("steps/0/do/0/action", "unknown_action")]),
    ("unknown member", {"loop": 1}, [("loop", "unknown_member")]),
    ("member of another action", _do(action="notify_team", level=1), [("steps/0/do/0/level", "unknown_member")]),
    ("person missing", _do(action="notify_person"), [("steps/0/do/0/person", "required")]),
    ("no id", _do(action="notify_person", person="Anna"), [("steps/0/do/0/person", "not_an_id")]),
    ("level 0", _do(action="notify_on_call", schedule="0" * 32, level=0), [("steps/0/do/0/level", "out_of_range")]),
    ("level true", _do(action="notify_on_call", schedule="0" * 32, level=True), [("steps/0/do/0/level", "out_of_range")]),
    ("reassign to nobody", _do(action="reassign"), [("steps/0/do/0", "required")]),
    ("raise by none", _do(action="raise_priority", by=0), [("steps/0/do/0/by", "out_of_range")]),
    ("webhook without a word", _do(action="webhook", name="Über uns"), [("steps/0/do/0/name", "bad_code")]),
    ("empty comment", _do(action="comment", text=" "), [("steps/0/do/0/text", "required")]),
    ("long comment", _do(action="comment", text="x" * 2001), [("steps/0/do/0/text", "too_long")]),
    ("negative wait", {"steps": [{"after": "-5m", "do": [TEAM]}]}, [("steps/0/after", "bad_span")]),
    ("a wait of a year", {"steps": [{"after": "8760h", "do": [TEAM]}]}, [("steps/0/after", "bad_span")]),
    ("days", {"steps": [{"after": "2bd", "do": [TEAM]}]}, [("steps/0/after", "bad_span")]),
    ("no calendar", {"steps": [{"business": True, "do": [TEAM]}]}, [("steps/0/calendar", "required")]),
    ("ten loops", {"loops": 10}, [("loops", "out_of_range")]),
    ("no gap", {"loop_gap": "0s"}, [("loop_gap", "bad_span")]),
    ("no timeout", {"ack_timeout": "0m"}, [("ack_timeout", "bad_span")]),
    ("trigger of nothing", {"triggers": [{}]}, [("triggers/0", "bad_trigger")]),
    ("trigger of both", {"triggers": [{"sla": {}, "event": "x"}]}, [("triggers/0", "bad_trigger")]),
    ("metric", _by(sla={"metric": "joy", "threshold": "75%"}), [("triggers/0/sla/metric", "unknown_metric")]),
    ("threshold", _by(sla={"metric": "ola", "threshold": "0%"}), [("triggers/0/sla/threshold", "bad_threshold")]),
    ("event", _by(event="escalation.started"), [("triggers/0/event", "unknown_event")]),
    ("times", _by(event="incident.opened", times=0), [("triggers/0/times", "out_of_range")]),
    ("when", _by(event="incident.opened", when={"mood": ["bad"]}), [("triggers/0/when/mood", "unknown_condition")]),
    ("window", _within(**{"from": "25:00", "to": "26:00"}), [_WINDOW]),
    ("window of nothing", _within(**{"from": "09:00", "to": "09:00"}), [_WINDOW]),
    ("zone", _within(**_NINE, time_zone="../etc"), [("steps/0/if/within/time_zone", "unknown_zone")]),
    ("day", _within(**_NINE, days=["so"]), [("steps/0/if/within/days", "unknown_value")]),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "problems"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_used_is_named(terms: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    assert refusal(**terms) == problems


@pytest.mark.parametrize("terms", [None, [], "x", 7], ids=["null", "list", "text", "number"])
def test_what_is_no_policy_at_all(terms: Any) -> None:
    with pytest.raises(Invalid) as caught:
        read_steps(terms)
    assert caught.value.problems[0].code == "not_an_object"
