"""From a step that is due to the mail that leaves: pages, the link in them, and what does not leave any more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from itsm.escalation.commands import acknowledge_escalation
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.notify.models import Dispatch, Notification
from itsm.notify.sending import send_due
from tests.escalation.chains import MANAGERS, TEAM, policy, run_of, start, story, tick
from tests.factories import Desk
from tests.sla.desk import at, on

pytestmark = pytest.mark.django_db
Deliver = Callable[..., list[Any]]


@pytest.fixture
def deliver(acme: Desk) -> Deliver:
    def run(when: Any) -> list[Any]:
        before = len(mail.outbox)
        with clock.at(when):
            relay(acme.tenant.pk)
            send_due(acme.tenant.pk)
        return mail.outbox[before:]

    return run


def begin(desk: Desk, *chain: Any, **fields: Any) -> Any:
    made = policy(desk, *chain)
    with at(1, 10):
        ticket = desk.incident(by="manager", team_id=desk.teams["network"].pk, **fields)
        start(desk, ticket, made)
    return ticket


def test_a_step_pages_whom_it_tells_and_the_link_stops_it(acme: Desk, deliver: Deliver) -> None:
    ticket = begin(acme, ("0s", TEAM), ("15m", MANAGERS))
    tick(on(1, 10))
    (letter,) = [one for one in deliver(on(1, 10)) if one.subject.startswith("Escalation")]
    assert (letter.to, letter.subject) == (
        ["agent@acme.example"],
        f"Escalation: {ticket.number} The printer is on fire",
    )
    with acme.inside():
        notification = Notification.objects.get(topic="escalation")
        assert (notification.urgency, notification.person_id) == ("page", acme.people["agent"].pk)
    found = re.search(r"https?://[^/\s]+(/\S*acknowledge\S*)", letter.body)
    assert found is not None
    with clock.at(on(1, 10, 5)):
        browser = Client()
        assert browser.get(found[1]).status_code == 200
        assert run_of(acme, ticket).state == "running", "reading the link does nothing"
        assert browser.post(found[1]).status_code in (200, 302)
    run = run_of(acme, ticket)
    assert (run.state, run.acknowledged_by_id) == ("acknowledged", acme.people["agent"].pk)
    assert (tick(on(1, 10, 15)), story(acme, ticket)) == (0, ["started", "step_taken", "acknowledged"])


def test_what_has_not_left_before_the_acknowledgement_does_not_leave(acme: Desk, deliver: Deliver) -> None:
    """Pain 8."""
    ticket = begin(acme, ("0s", TEAM))
    tick(on(1, 10))
    with clock.at(on(1, 10)):
        relay(acme.tenant.pk)
    with at(1, 10, 1):
        acknowledge_escalation(actor=acme.actor("manager"), ticket_id=ticket.pk)
    assert [one.subject for one in deliver(on(1, 10, 2)) if one.subject.startswith("Escalation")] == []
    with acme.inside():
        (row,) = Dispatch.objects.filter(channel="email", notification__topic="escalation")
        assert (row.status, row.reason) == ("dropped", "acknowledged")


def test_late_ones_wait_for_the_digest(acme: Desk, deliver: Deliver) -> None:
    begin(acme, ("0s", TEAM), impact=2, urgency=2)
    tick(on(1, 12))
    assert [one for one in deliver(on(1, 12)) if one.subject.startswith("Escalation")] == []
    with acme.inside():
        assert Notification.objects.get(topic__startswith="escalation").topic == "escalation_late"


def test_whoever_answers_at_the_very_end_is_written_down(acme: Desk) -> None:
    ticket = begin(acme, ("0s", TEAM))
    tick(on(1, 10))
    tick(on(1, 10, 15))
    run = run_of(acme, ticket)
    assert run.state == "exhausted"
    with at(1, 11):
        acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk, run_id=run.pk)
    run = run_of(acme, ticket)
    assert (run.state, run.acknowledged_at, run.ended_at, run.next_due_at) == (
        "acknowledged", on(1, 11), on(1, 10, 15), None,
    )  # fmt: skip
