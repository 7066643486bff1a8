"""Service levels tell whoever can still help: the assignee, else the team; nobody when the clock has moved on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from incidents.commands import hold_incident, resolve_incident
from itsm.kernel import clock
from itsm.sla.fires import tell_all
from itsm.sla.sweep import sweep
from itsm.tickets.commands import assign_ticket
from tests.factories import Desk
from tests.notify.conftest import NOON, ledger, told

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


def fire(minutes: float) -> None:
    """The sweep comes so many minutes after noon, and the tickets are told."""
    now = NOON + timedelta(minutes=minutes)
    with clock.at(now):
        sweep(now)
        tell_all(now=now)


def test_the_assignee_hears_that_time_runs_out_and_that_it_has(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident(impact=1, urgency=1)
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
    deliver()
    fire(12)
    [message] = deliver()
    assert (message.to, message.subject) == (["agent@acme.example"], f"{ticket.number} runs out of time")
    for _ in range(50):
        fire(12.5)
    assert deliver() == [], "50 ticks are no reason to tell again"
    fire(16)
    [message] = deliver()
    assert message.subject == f"{ticket.number} is overdue"


def test_without_an_assignee_the_team_hears_it(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident(impact=1, urgency=1)
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
    deliver()
    fire(16)
    deliver()
    assert ("agent", "sla_breached") in told(acme)


def test_what_ended_before_the_message_left_wakes_nobody(acme: Desk, deliver: Deliver) -> None:
    """Pains 8 and 12: the state is looked at when the message leaves."""
    ticket = acme.incident(impact=1, urgency=1)
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
    deliver()
    fire(12)
    with clock.at(NOON + timedelta(minutes=12)):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    mails = deliver()
    assert [m for m in mails if m.to == ["agent@acme.example"]] == []
    assert ("agent", "dropped", "clock_stopped") in ledger(acme)


def test_a_clock_that_waits_runs_out_for_nobody(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident(impact=1, urgency=1)
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
    hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    deliver()
    fire(60 * 24 * 365)
    assert deliver() == []
