"""Before it is saved: what would move. Afterwards: why this policy and no other. And holidays to look through."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.sla.calendar_file import read_hours
from itsm.sla.commands import change_policy, create_policy, update_policy
from itsm.sla.models import SlaCalendarVersion, SlaPolicyVersion
from itsm.sla.preview import preview_calendar, preview_policy
from itsm.sla.public_holidays import countries, propose, with_proposals, years_of
from itsm.sla.why import explain_match
from itsm.tickets.commands.configuration import create_category
from tests.factories import Desk
from tests.sla.desk import at, clocks, on
from tests.sla.test_calendars_of_a_desk import calendar, codes, office
from tests.sla.test_policies_of_a_desk import FIRST, by_name, terms

pytestmark = pytest.mark.django_db


def test_a_preview_of_hours_names_what_moves_and_writes_nothing(acme: Desk) -> None:
    with at(1, 9):
        ticket, critical = acme.incident(impact=2, urgency=2), acme.incident(impact=1, urgency=1)
        hidden = acme.incident(impact=2, urgency=2, by="hr", team_id=acme.teams["hr"].pk)
    with acme.inside():
        before = (Event.objects.count(), SlaCalendarVersion.objects.count())
    with at(1, 10), acme.inside():
        found = preview_calendar(acme.actor("owner"), calendar(acme).pk, office(("09:00", "17:00"), d2026_11_24=[]))
        assert (found.clocks, found.moved, found.later, found.earlier, found.complete) == (2, 1, 1, 0, True)
        assert [(m.number, m.metric, m.before, m.after) for m in found.moves] == [
            (ticket.number, "resolution", on(3, 17), on(4, 17))
        ]
        assert hidden.number not in {move.number for move in found.moves}
        shut = preview_calendar(acme.actor("owner"), calendar(acme).pk, office())
        assert (shut.moved, {move.after for move in shut.moves}) == (2, {None})
        with pytest.raises(Invalid):
            preview_calendar(acme.actor("owner"), calendar(acme).pk, office(zone="Europe/Berlin"))
        with pytest.raises(Forbidden):
            preview_calendar(acme.actor("agent"), calendar(acme).pk, office())
        with pytest.raises(NotFound):
            preview_calendar(acme.actor("owner"), ticket.pk, office())
    with acme.inside():
        assert (Event.objects.count(), SlaCalendarVersion.objects.count()) == before
    assert clocks(acme, critical)["resolution"].generation == 1


def test_a_preview_of_terms_is_what_applying_them_does(acme: Desk) -> None:
    owner, policy = acme.actor("owner"), by_name(acme, "Resolution")
    with at(1, 9):
        slow, fast = acme.incident(impact=2, urgency=2), acme.incident(impact=1, urgency=1)
    wanted = terms(acme, {"when": {"priority": [1]}, "target": "30m"}, {"target": "40h"})
    with at(1, 10), acme.inside():
        found = preview_policy(owner, wanted, policy_id=policy.pk)
        assert (found.clocks, found.moved, found.earlier, found.later, found.overdue) == (2, 2, 1, 1, 1)
        assert {m.number: (m.promise, m.new_promise, m.after) for m in found.moves} == {
            fast.number: ("4h", "30m", on(1, 9, 30)),
            slow.number: ("24h", "40h", on(5, 17)),
        }
        new = preview_policy(owner, terms(acme, FIRST), metric="resolution")
        assert [(m.number, m.new_promise, m.after) for m in new.moves] == [(fast.number, "1h", on(1, 10))]
        gone = preview_policy(owner, terms(acme, {"when": {"priority": [3]}, "target": "24h"}), policy_id=policy.pk)
        assert (gone.dropped, {m.after for m in gone.moves if not m.new_promise}) == (1, {None})
        assert SlaPolicyVersion.objects.count() == 3
        change_policy(actor=owner, policy_id=policy.pk, terms=wanted, apply=True)
    assert {t.number: clocks(acme, t)["resolution"].due_at for t in (slow, fast)} == {
        m.number: m.after for m in found.moves
    }
    with acme.inside(), pytest.raises(Invalid):
        preview_policy(owner, wanted, metric="chocolate")


def test_why_this_policy(acme: Desk) -> None:
    owner = acme.actor("owner")
    category = create_category(actor=acme.system, name="Payroll")
    narrow = terms(acme, {"target": "2h"}, applies={"category": [str(category.pk)]})
    create_policy(actor=owner, name="Payroll", metric="resolution", terms=narrow)
    create_policy(actor=owner, name="Fast", metric="resolution", terms=terms(acme, FIRST))
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with acme.inside():
        response, resolution, update, ola, _cadence = explain_match(acme.actor("agent"), ticket)
        assert [one.name for one in resolution.asked] == ["Fast", "Payroll", "Resolution"]
        fast, payroll, last = resolution.asked
        assert [(m.condition, m.wanted, m.found) for m in fast.misses[0]] == [("priority", ("1",), ("3",))]
        assert [(m.condition, m.wanted, m.found) for m in payroll.misses[0]] == [("category", ("Payroll",), ())]
        assert (last.target, last.promise, resolution.holds, resolution.calendar) == (3, "24h", last, "Office hours")
        assert (response.holds is not None, update.asked, ola.holds) == (True, (), None)
        with pytest.raises(Forbidden):
            explain_match(acme.actor("requester"), ticket)
    update_policy(actor=owner, policy_id=by_name(acme, "Resolution").pk, active=False)
    with acme.inside():
        _, resolution, *_ = explain_match(acme.actor("agent"), ticket)
        assert (resolution.holds, len(resolution.asked), resolution.calendar) == (None, 2, "")


def test_holidays_are_proposed_with_what_is_doubtful_about_them() -> None:
    hours = read_hours(office(("09:00", "12:00"), ("13:00", "17:00"), d2026_12_25=[]))
    with clock.at(on(1, 9)):
        bavaria = {p.day: p for p in propose(hours, "de", "BY", [2026], "de")}
        assert bavaria[date(2026, 1, 6)].label == "Heilige Drei Könige"
        assert bavaria[date(2026, 1, 6)].advised
        assert date(2026, 1, 6) not in {p.day for p in propose(hours, "DE", "HH", [2026])}
        assert (bavaria[date(2026, 12, 26)].idle, bavaria[date(2026, 12, 26)].advised) == (True, False), "a Saturday"
        assert (bavaria[date(2026, 12, 25)].taken, bavaria[date(2026, 12, 25)].advised) == (True, False)
        england = {p.day: p for p in propose(hours, "GB", "ENG", [2026])}
        assert (england[date(2026, 12, 28)].observed, england[date(2026, 12, 28)].advised) == (True, True)
        egypt = [p for p in propose(hours, "EG", "", [2028], "en") if "Eid" in p.label]
        assert egypt
        assert not any(p.advised for p in egypt)
        assert all(p.estimated for p in propose(hours, "SA", "", [2028], "en") if "Eid" in p.label)
        assert not any(p.estimated for p in bavaria.values())


def test_half_days_are_half_of_the_work_of_the_day() -> None:
    hours = read_hours(office(("09:00", "12:00"), ("13:00", "17:00")))
    with clock.at(on(1, 9)):
        half = [p for p in propose(hours, "IS", "", [2026]) if p.half]
    assert {p.day: p.shifts for p in half} == {
        date(2026, 12, 24): ((540, 720), (780, 810)), date(2026, 12, 31): ((540, 720), (780, 810)),
    }  # fmt: skip


def test_chosen_holidays_become_exceptions() -> None:
    hours = read_hours(office(("09:00", "17:00"), d2026_12_28=[["10:00", "12:00"]]))
    with clock.at(on(1, 9)):
        chosen = [p for p in propose(hours, "DE", "BY", [2026]) if p.day == date(2026, 12, 25)]
    written, labels = with_proposals(hours, {"2026-12-28": "Inventory"}, chosen)
    assert written["exceptions"] == {"2026-12-25": [], "2026-12-28": [["10:00", "12:00"]]}
    assert labels == {"2026-12-25": "Erster Weihnachtstag", "2026-12-28": "Inventory"}


@pytest.mark.parametrize(
    ("country", "part", "years", "problem"),
    [
        ("XX", "", [2026], ("/country", "unknown_country")),
        ("", "", [2026], ("/country", "unknown_country")),
        ("DE", "ZZ", [2026], ("/subdivision", "unknown_subdivision")),
        ("DE", "", [1800], ("/years", "out_of_range")),
        ("DE", "", [], ("/years", "too_many")),
        ("DE", "", list(range(2026, 2040)), ("/years", "too_many")),
    ],
)
def test_holidays_that_are_not_there(country: str, part: str, years: list[int], problem: tuple[str, str]) -> None:
    with clock.at(on(1, 9)), pytest.raises(Invalid) as refused:
        propose(read_hours(office()), country, part, years)
    assert codes(refused) == {problem}


@pytest.mark.parametrize(
    ("text", "years"),
    [("2027", [2027]), ("2027, 2029", [2027, 2029]), ("2027-2029", [2027, 2028, 2029]), ("x", None), ("2029-2027", None),
     ("", None), ("1-9999", None), ("²027", None)],
)  # fmt: skip
def test_years_as_people_write_them(text: str, years: Any) -> None:
    if years is not None:
        assert years_of(text) == years
        return
    with pytest.raises(Invalid):
        years_of(text)


def test_countries_have_two_letters() -> None:
    known = countries()
    assert "BY" in known["DE"]
    assert {len(code) for code in known} == {2}
