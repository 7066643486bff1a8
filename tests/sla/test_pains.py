"""What users of other systems suffer from (docs/adr/0014-clocks.md), each by name. Numbers are those of the collected list.

Others of the list have their tests where they belong: 1, 3, 5, 12, 13 in test_follow and test_sweep, 6 in faults, 7 and 8 in
escalation and notify.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from incidents.commands import hold_incident, reopen_incident, resolve_incident, resume_incident, start_incident
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.sla.calendar import BusinessTime, from_micros, to_micros
from itsm.sla.calendar_file import read_hours
from itsm.sla.explain import explain
from itsm.sla.fires import tell_all
from itsm.sla.sweep import sweep
from itsm.tickets.commands import comment_on_ticket
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.sla.desk import at, clocks, on, policy

pytestmark = pytest.mark.django_db


def test_pain_2_a_promise_in_days_that_waits_over_a_weekend_gains_no_day(acme: Desk) -> None:
    policy(acme, "Days", "resolution", "Office hours", targets=[{"target": "2bd"}])
    with at(4, 10):
        ticket = acme.incident()
    assert clocks(acme, ticket)["resolution"].due_at == on(8, 17), "the close of the second working day"
    with at(5, 17, 30):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(8, 8):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    assert clocks(acme, ticket)["resolution"].due_at == on(8, 17)


def test_pain_4_the_time_after_resolving_is_its_own_and_no_waiting(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident()
    with at(1, 10):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    with at(3, 10):
        reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="no")
    with acme.inside():
        resolution = explain(acme.actor("agent"), ticket, on(3, 11))[-1]
    assert [(one.kind, one.begin, one.end) for one in resolution.intervals] == [
        ("running", on(1, 9), on(1, 10)),
        ("stopped", on(1, 10), on(3, 10)),
        ("running", on(3, 10), None),
    ]


def test_pain_9_opening_hours_stay_local_over_both_changes_of_the_clocks() -> None:
    hours = {"timezone": "Europe/London", "weekly": {day: [["08:30", "17:30"]] for day in ("fri", "mon")}}
    time = BusinessTime(read_hours(hours))
    for friday, monday in (("2026-03-27", "2026-03-30"), ("2026-10-23", "2026-10-26")):
        zone = time.hours.zone
        start = to_micros(datetime.fromisoformat(f"{friday}T16:30").replace(tzinfo=zone))
        due = time.deadline(start, 2 * 3_600_000_000)
        assert due is not None
        assert from_micros(due, zone).isoformat()[:16] == f"{monday}T09:30"


def test_pain_10_an_hour_before_is_an_hour_of_work_before(acme: Desk) -> None:
    policy(acme, "Soon", "resolution", "Office hours", targets=[{"target": "2h"}], thresholds=["-1h", "100%"])
    with at(1, 15, 30):
        ticket = acme.incident()
    row = clocks(acme, ticket)["resolution"]
    assert (row.due_at, row.step_due) == (on(2, 9, 30), [on(1, 16, 30), on(2, 9, 30)])


def test_pain_11_whoever_answered_last_is_not_late(acme: Desk) -> None:
    policy(acme, "Answer", "update", targets=[{"target": "1h"}])
    agent, caller = acme.actor("agent"), acme.actor("requester")
    with at(1, 9):
        ticket = acme.incident()
        start_incident(actor=agent, ticket_id=ticket.pk)
        comment_on_ticket(actor=caller, ticket_id=ticket.pk, body="And?")
    with at(1, 9, 30):
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Soon.")
    sweep(on(1, 23))
    with clock.at(on(1, 23)):
        tell_all(now=on(1, 23))
    with acme.inside():
        assert "update" not in set(
            Event.objects.filter(ticket_id=ticket.pk, kind__startswith="sla.").values_list("payload__metric", flat=True)
        )


def test_pain_14_what_a_clock_does_by_itself_changes_no_ticket_and_triggers_nothing(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
    with acme.inside():
        before = Ticket.objects.values("version", "updated_at", "due_at").get(pk=ticket.pk)
    sweep(on(1, 14))
    with clock.at(on(1, 14)):
        assert tell_all(now=on(1, 14)) == 8
    with acme.inside():
        assert Ticket.objects.values("version", "updated_at", "due_at").get(pk=ticket.pk) == before
        kinds = list(Event.objects.filter(ticket_id=ticket.pk).order_by("sequence").values_list("kind", flat=True))
    assert kinds == ["incident.opened", "sla.breached", "sla.breached"]
