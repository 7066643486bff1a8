"""From an event to inbox and mail: who is told, once, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from incidents.commands import resolve_incident, take_incident
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.notify.models import Dispatch, Notification
from itsm.notify.planning import plan
from itsm.notify.sending import send_due
from itsm.tickets.commands import assign_ticket, comment_on_ticket, watch_ticket
from tests.factories import Desk
from tests.notify.conftest import NOON, ledger, told

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


def test_a_reply_reaches_the_requester_by_inbox_and_mail(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    take_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    deliver()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Is there **smoke**?")
    [message] = deliver()
    assert message.to == ["requester@acme.example"]
    assert message.subject == f"Re: {ticket.number} The printer is on fire"
    assert message.body == (
        "agent of acme replied\n\nIs there **smoke**?\n\n"
        f"{ticket.number}: The printer is on fire\nState: In Progress · Priority: P5\n"
        f"http://127.0.0.1:8000/t/acme/incidents/{ticket.number}/\n\n"
        "-- \nYou are told because: The desk replies to my request.\nChange what you are told:\n"
        "http://127.0.0.1:8000/t/acme/profile/notifications/"
    )
    with acme.inside():
        row = Dispatch.objects.get(key__startswith="email:", notification__topic="reply")
        assert (row.status, row.address, row.subject) == ("sent", "requester@acme.example", message.subject)
        assert row.provider_id == message.extra_headers["Message-ID"] == f"<{row.pk}@localhost>"
        [notification] = Notification.objects.filter(person=acme.people["requester"])
        assert (notification.topic, notification.in_inbox, notification.read_at) == ("reply", True, None)
    headers = message.extra_headers
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "All"
    assert headers["List-Id"] == "Acme <acme.localhost>"
    assert headers["References"] == f"<ticket-{ticket.pk}@localhost>"


def test_each_event_tells_whom_it_concerns_and_nobody_of_his_own_doing(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    watch_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk)
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
    deliver()
    assert told(acme) == {("agent", "assigned_me")}
    comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="Hurry, please")
    deliver()
    assert told(acme) == {("agent", "assigned_me"), ("agent", "comment"), ("manager", "watched")}
    resolve_incident(
        actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="Water"
    )
    [first, second] = sorted(deliver(), key=lambda one: one.to)
    assert [first.to, second.to] == [["manager@acme.example"], ["requester@acme.example"]]
    assert second.subject == f"Resolved: {ticket.number} The printer is on fire"
    assert "Water" in second.body


def test_an_internal_note_reaches_the_desk_and_never_the_requester(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk)
    watch_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, person_id=acme.people["colleague"].pk)
    deliver()
    comment_on_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, body="The cable again", audience="internal")
    [message] = deliver()
    assert message.to == ["agent@acme.example"]
    assert "The cable again" in message.body
    assert set(ledger(acme)) == {("agent", "sent", ""), ("colleague", "dropped", "no_right")}
    with acme.inside():
        assert Dispatch.objects.get(status="sent", notification__topic="watched").internal
        assert not Notification.objects.get(person=acme.people["colleague"]).in_inbox


def test_a_mention_is_told_once_and_as_a_mention(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
    deliver()
    comment_on_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, body="@agent please look", audience="internal")
    [message] = deliver()
    assert message.subject == f"manager of acme mentions you: {ticket.number} The printer is on fire"
    # Who watches already is mentioned all the same.
    comment_on_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, body="@agent again", audience="internal")
    [message] = deliver()
    assert message.subject.startswith("manager of acme mentions you")


def test_fifty_ticks_of_one_event_are_one_mail(acme: Desk, deliver: Deliver) -> None:
    ticket = acme.incident()
    deliver()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Once")
    assert len(deliver()) == 1
    with acme.inside():
        event = Event.objects.get(kind="ticket.commented")
    for _ in range(50):
        with acme.inside():
            plan(event)
        send_due(acme.tenant.pk)
    assert len(mail.outbox) == 1
    with acme.inside():
        assert Notification.objects.count() == 1
        assert Dispatch.objects.count() == 1


def test_an_inactive_person_is_skipped_visibly(acme: Desk, deliver: Deliver) -> None:
    from itsm.access.commands import set_person_active

    ticket = acme.incident()
    deliver()
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["requester"].pk, active=False)
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Anybody there?")
    assert deliver() == []
    assert ledger(acme) == [("requester", "dropped", "inactive")]


def test_rights_are_asked_when_it_leaves(acme: Desk) -> None:
    from itsm.access.commands import update_team
    from itsm.events.relay import relay

    ticket = acme.incident()
    watch_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk)
    relay(acme.tenant.pk)
    assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=acme.teams["apps"].pk)
    relay(acme.tenant.pk)
    assert ledger(acme) == [("manager", "planned", "")]
    update_team(actor=acme.actor("admin"), team_id=acme.teams["apps"].pk, restricted=True)
    send_due(acme.tenant.pk)
    assert mail.outbox == []
    assert ledger(acme) == [("manager", "dropped", "no_right")]


def test_history_tells_nobody(acme: Desk, deliver: Deliver) -> None:
    with clock.at(NOON - timedelta(days=8)):
        ticket = acme.incident()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Long ago")
    assert deliver() == []
    assert told(acme) == set()
