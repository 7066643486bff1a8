"""Calendars by their commands: made, changed by versions that move open clocks, kept while they are used."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from incidents.commands import hold_incident, resume_incident
from itsm.events.models import Event
from itsm.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from itsm.sla.audit import overdue
from itsm.sla.commands import (
    change_calendar,
    change_policy,
    choose_calendar,
    create_calendar,
    create_policy,
    update_calendar,
)
from itsm.sla.models import CalendarChoice, SlaCalendar, SlaCalendarVersion, SlaClockEvent, SlaFire
from itsm.sla.recompute import recompute_all, recompute_calendars
from itsm.sla.sweep import sweep
from itsm.tickets.commands import update_ticket
from itsm.tickets.commands.configuration import create_service
from tests.factories import Desk
from tests.sla.desk import HOUR, at, clocks, due_at, on, policy

pytestmark = pytest.mark.django_db

WEEK = ("mon", "tue", "wed", "thu", "fri")


def office(*shifts: tuple[str, str], zone: str = "UTC", **exceptions: Any) -> dict[str, Any]:
    """Those shifts on five days; exceptions as d2026_11_24=[…]."""
    days = {name[1:].replace("_", "-"): value for name, value in exceptions.items()}
    return {"timezone": zone, "weekly": {day: [list(s) for s in shifts] for day in WEEK}, "exceptions": days}


def calendar(desk: Desk, name: str = "Office hours") -> SlaCalendar:
    with desk.inside():
        return SlaCalendar.objects.get(name=name)


def codes(refused: Any) -> set[tuple[str, str]]:
    return {(problem.pointer, problem.code) for problem in refused.value.problems}


def test_a_calendar_is_made_and_its_zone_is_for_good(acme: Desk) -> None:
    owner = acme.actor("owner")
    with at(1, 9):
        made = create_calendar(
            actor=owner,
            name=" Berlin ",
            hours=office(("09:00", "17:00"), zone="Europe/Berlin", d2026_12_25=[]),
            labels={"2026-12-25": "Christmas Day"},
        )
    with acme.inside():
        version = SlaCalendarVersion.objects.get(calendar=made.pk)
        assert (made.name, made.time_zone, version.version, version.effective_from) == (
            "Berlin", "Europe/Berlin", 1, date(2026, 11, 23),
        )  # fmt: skip
        assert (version.labels, version.created_by_id) == ({"2026-12-25": "Christmas Day"}, acme.people["owner"].pk)
        assert Event.objects.get(kind="sla.calendar_created").payload == {"calendar": str(made.pk)}
    with at(1, 9), pytest.raises(Invalid) as refused:
        change_calendar(actor=owner, calendar_id=made.pk, hours=office(("09:00", "17:00"), zone="Europe/Paris"))
    assert codes(refused) == {("/hours/timezone", "zone_for_good")}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"hours": office(("09:00", "13:00"), ("12:00", "17:00"))}, ("/hours/weekly/mon/1", "overlap")),
        ({"hours": office(("09:00", "09:00"))}, ("/hours/weekly/mon/0", "no_length")),
        ({"hours": office(("22:00", "06:00"), ("05:00", "07:00"))}, ("/hours/weekly/tue", "overlap")),
        ({"hours": office(("09:00", "17:00"), zone="Mars/Olympus")}, ("/hours/timezone", "unknown_zone")),
        ({"hours": []}, ("/hours", "not_an_object")),
        ({"hours": office(), "labels": {"2026-12-25": "x"}}, ("/labels/2026-12-25", "unknown_date")),
        ({"hours": office(), "name": "Office hours"}, ("/name", "taken")),
        ({"hours": office(), "name": " "}, ("/name", "required")),
    ],
)
def test_hours_that_are_none(acme: Desk, given: dict[str, Any], problem: tuple[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        create_calendar(actor=acme.actor("admin"), **{"name": "New", **given})
    assert problem in codes(refused)
    with acme.inside():
        assert SlaCalendar.objects.count() == 2
        assert not Event.objects.filter(kind="sla.calendar_created").exists()


def test_who_may(acme: Desk, globex: Desk) -> None:
    office_hours = calendar(acme)
    for who in ("agent", "manager", "auditor", "requester"):
        with pytest.raises(Forbidden):
            change_calendar(actor=acme.actor(who), calendar_id=office_hours.pk, hours=office(("08:00", "16:00")))
    with pytest.raises(NotFound):
        change_calendar(actor=globex.actor("admin"), calendar_id=office_hours.pk, hours=office(("08:00", "16:00")))
    with acme.inside():
        assert SlaCalendarVersion.objects.filter(calendar=office_hours.pk).count() == 1


def test_new_hours_move_open_clocks_and_bank_what_was_used(acme: Desk) -> None:
    """Case 33: up to now by the old hours, from now on by the new ones."""
    with at(1, 9):
        running, waiting = acme.incident(impact=2, urgency=2), acme.incident(impact=2, urgency=2)
        hold_incident(actor=acme.actor("agent"), ticket_id=waiting.pk, hold_reason="awaiting_caller", comment="?")
        critical = acme.incident(impact=1, urgency=1)
    before = clocks(acme, critical)["resolution"]
    assert clocks(acme, running)["resolution"].due_at == on(3, 17), "24 h are three office days"
    with at(1, 12):
        version = change_calendar(
            actor=acme.actor("owner"), calendar_id=calendar(acme).pk, hours=office(("08:00", "20:00"))
        )
    row = clocks(acme, running)["resolution"]
    assert (row.calendar_version_id, row.elapsed, row.due_at, row.generation) == (version.pk, 3 * HOUR, on(3, 9), 2)
    assert due_at(acme, running) == clocks(acme, running)["response"].due_at
    with acme.inside():
        event = SlaClockEvent.objects.get(clock=row.pk, generation=2)
        assert (event.operation, event.at, event.elapsed, event.due_at) == ("calendar", on(1, 12), 3 * HOUR, on(3, 9))
        said = Event.objects.get(kind="sla.calendar_changed").payload
        assert (said["version"], said["fields"], said["clocks"]) == (2, ["hours"], 3)
    paused = clocks(acme, waiting)["resolution"]
    assert (paused.state, paused.due_at, paused.calendar_version_id, paused.elapsed) == ("paused", None, version.pk, 0)
    with at(2, 8):
        resume_incident(actor=acme.actor("agent"), ticket_id=waiting.pk)
    assert clocks(acme, waiting)["resolution"].due_at == on(3, 20), "24 h of twelve-hour days"
    assert clocks(acme, critical)["resolution"].generation == before.generation, (
        "another calendar's clock stays as it is"
    )


def test_a_day_off_that_is_declared_today_moves_tomorrows_deadline(acme: Desk) -> None:
    with at(1, 16):
        ticket = acme.incident(impact=2, urgency=2)
    assert clocks(acme, ticket)["response"].due_at == on(2, 10)
    with at(1, 16, 30):
        change_calendar(
            actor=acme.actor("owner"), calendar_id=calendar(acme).pk, hours=office(("09:00", "17:00"), d2026_11_24=[])
        )
    row = clocks(acme, ticket)["response"]
    assert (row.due_at, row.step_due[0], due_at(acme, ticket)) == (on(3, 10), on(1, 17), on(3, 10))


def test_days_are_counted_by_the_new_hours(acme: Desk) -> None:
    policy(acme, "Days", "resolution", calendar="Office hours", targets=[{"target": "1bd"}])
    with at(1, 16):
        ticket = acme.incident()
    assert clocks(acme, ticket)["resolution"].due_at == on(2, 17)
    with at(1, 16, 30):
        change_calendar(
            actor=acme.actor("owner"),
            calendar_id=calendar(acme).pk,
            hours=office(("09:00", "17:00"), d2026_11_24=[["09:00", "12:00"]]),
        )
    assert clocks(acme, ticket)["resolution"].due_at == on(2, 12), "still the close of the next working day"


def test_what_fired_stays_fired_and_nothing_fires_twice(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    sweep(on(1, 10, 30))  # 50 and 75 % of the response.
    with acme.inside():
        fired = set(SlaFire.objects.values_list("clock_id", "step"))
    assert len(fired) == 2
    with at(1, 10, 30):
        change_calendar(actor=acme.actor("owner"), calendar_id=calendar(acme).pk, hours=office(("10:00", "18:00")))
    row = clocks(acme, ticket)["response"]
    assert (sorted(row.fired), row.step_due[:2], row.due_at) == ([0, 1], [None, None], on(1, 11))
    assert sweep(on(1, 10, 31)).fires == 0
    sweep(on(9, 9))
    with acme.inside():
        steps = list(SlaFire.objects.filter(clock=row.pk).order_by("id").values_list("step", flat=True))
        assert sorted(steps) == [0, 1, 2, 3], "each threshold once, whatever the generation"


def test_a_breach_is_not_healed_by_longer_hours(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    sweep(on(1, 12))
    with at(1, 12):
        change_calendar(actor=acme.actor("owner"), calendar_id=calendar(acme).pk, hours=office(("12:00", "13:00")))
    row = clocks(acme, ticket)["response"]
    assert (row.breached_at, row.due_at, row.next_due_at) == (on(1, 11), on(1, 11), None)


def test_hours_from_a_later_date(acme: Desk) -> None:
    owner, pk = acme.actor("owner"), calendar(acme).pk
    with at(1, 16):
        ticket = acme.incident(impact=2, urgency=2)
        change_calendar(
            actor=owner, calendar_id=pk, hours=office(("13:00", "17:00")), effective_from=date(2026, 11, 24)
        )
    assert clocks(acme, ticket)["response"].due_at == on(2, 14), "today still closes at five"
    for day, code in ((date(2026, 11, 22), "before_today"), (date(2040, 1, 1), "too_far")):
        with at(1, 16), pytest.raises(Invalid) as refused:
            change_calendar(actor=owner, calendar_id=pk, hours=office(("08:00", "09:00")), effective_from=day)
        assert codes(refused) == {("/effective_from", code)}


def test_the_same_hours_again_change_nothing_and_a_stale_edit_is_refused(acme: Desk) -> None:
    owner, pk = acme.actor("owner"), calendar(acme).pk
    assert change_calendar(actor=owner, calendar_id=pk, hours=office(("09:00", "17:00"))).version == 1
    change_calendar(actor=owner, calendar_id=pk, hours=office(("09:00", "18:00")), expected_version=1)
    with pytest.raises(Conflict):
        change_calendar(actor=owner, calendar_id=pk, hours=office(("09:00", "19:00")), expected_version=1)
    with acme.inside():
        assert SlaCalendarVersion.objects.filter(calendar=pk).count() == 2


def test_hours_that_never_open_arm_nothing_and_say_so(acme: Desk) -> None:
    """Case 32."""
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 10):
        change_calendar(actor=acme.actor("owner"), calendar_id=calendar(acme).pk, hours=office())
    row = clocks(acme, ticket)["response"]
    assert (row.state, row.due_at, row.next_due_at, due_at(acme, ticket)) == ("running", None, None, None)
    with acme.inside():
        assert overdue(on(9, 9)) == []


def test_a_run_that_stopped_halfway_is_finished_by_the_next(acme: Desk) -> None:
    with at(1, 9):
        tickets = [acme.incident(impact=2, urgency=2) for _ in range(3)]
    with at(1, 10), acme.inside():
        found = calendar(acme)
        SlaCalendarVersion.objects.create(
            calendar=found, version=2, effective_from=date(2026, 11, 23), hours=office(("08:00", "20:00"))
        )
        first = recompute_calendars(acme.tenant.pk, most=1)
        assert (first.clocks, first.complete) == (2, False)
        rest = recompute_calendars(acme.tenant.pk)
        assert (rest.clocks, rest.moved, rest.complete) == (4, 2 * 2 - 2, True), "answers stay due today"
        assert recompute_calendars(acme.tenant.pk).clocks == 0
    assert {clocks(acme, ticket)["resolution"].generation for ticket in tickets} == {2}


def test_computing_everything_anew_writes_only_what_differs(acme: Desk) -> None:
    """Case 34, without waiting for a government: a row whose deadline is not what its hours say."""
    with at(1, 9):
        right, wrong = acme.incident(impact=2, urgency=2), acme.incident(impact=2, urgency=2)
    row = clocks(acme, wrong)["response"]
    with acme.inside():
        type(row).objects.filter(pk=row.pk).update(due_at=on(1, 12), step_due=[on(1, 12)] * 4, next_due_at=on(1, 12))
    with at(1, 9, 30):
        done = recompute_all(acme.tenant.pk)
    assert (done.clocks, done.moved) == (1, 1)
    assert (clocks(acme, wrong)["response"].due_at, clocks(acme, wrong)["response"].generation) == (on(1, 11), 2)
    assert (due_at(acme, wrong), clocks(acme, right)["response"].generation) == (on(1, 11), 1)


def test_a_calendar_that_is_used_stays_in_use(acme: Desk) -> None:
    owner = acme.actor("owner")
    for pk in (calendar(acme).pk, calendar(acme, "24x7").pk):
        with pytest.raises(Invalid) as refused:
            update_calendar(actor=owner, calendar_id=pk, active=False)
        assert codes(refused) == {("/is_active", "in_use")}
        assert "Resolution, Response" in refused.value.detail
    mine = create_calendar(actor=owner, name="Mine", hours=office(("09:00", "17:00")))
    service = create_service(actor=acme.system, name="Mail")
    choose_calendar(actor=owner, calendar_id=mine.pk, service_id=service.pk)
    with pytest.raises(Invalid) as refused:
        update_calendar(actor=owner, calendar_id=mine.pk, active=False)
    assert "Mail" in refused.value.detail
    choose_calendar(actor=owner, calendar_id=None, service_id=service.pk)
    update_calendar(actor=owner, calendar_id=mine.pk, active=False, name="Was mine")
    with acme.inside():
        mine.refresh_from_db()
        assert (mine.is_active, mine.name, mine.revision) == (False, "Was mine", 2)
        assert not CalendarChoice.objects.exists()
    with pytest.raises(Invalid):
        choose_calendar(actor=owner, calendar_id=mine.pk, service_id=service.pk)
    with pytest.raises(Invalid):
        choose_calendar(actor=owner, calendar_id=mine.pk)


def test_a_service_lives_by_its_own_hours(acme: Desk) -> None:
    """Case 27: whose calendar decides is what the policy says."""
    owner = acme.actor("owner")
    new_york = create_calendar(actor=owner, name="New York", hours=office(("09:00", "17:00"), zone="America/New_York"))
    service = create_service(actor=acme.system, name="Trading")
    choose_calendar(actor=owner, calendar_id=new_york.pk, service_id=service.pk)
    terms = {"calendar": str(calendar(acme).pk), "targets": [{"target": "4h"}]}
    narrow = {"applies": {"service": [str(service.pk)]}}
    made = create_policy(actor=owner, name="By contract", metric="resolution", terms={**terms, **narrow})
    with at(1, 15, 30):
        ticket = acme.incident(service_id=service.pk)
    assert clocks(acme, ticket)["resolution"].due_at == on(2, 11, 30)
    change_policy(actor=owner, policy_id=made.pk, terms={**terms, **narrow, "calendar_source": "service"})
    with at(1, 15, 30):
        ticket = acme.incident(service_id=service.pk)
    assert clocks(acme, ticket)["resolution"].due_at == on(1, 19, 30), "half past ten to half past two in New York"
    with at(1, 16):
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, service_id=None)
    assert clocks(acme, ticket)["resolution"].promise != "4h"


def test_a_pause_is_measured_by_the_same_hours_as_the_deadline(acme: Desk) -> None:
    """Pain 2: held over a weekend, nothing is added."""
    with at(5, 15):
        ticket = acme.incident(impact=2, urgency=2)
    with at(5, 17):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(8, 9):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    row = clocks(acme, ticket)["resolution"]
    assert (row.elapsed, row.due_at) == (2 * HOUR, on(5, 15) + timedelta(days=5)), "as if nobody had waited"
