"""Updates of major incidents reach whoever waits for them: on the incident itself, and on each child that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from incidents.commands import declare_major, send_major_update
from itsm.tickets.commands import set_parent
from tests.factories import Desk

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


def test_the_requester_and_those_of_children_get_one_mail_each(acme: Desk, deliver: Deliver) -> None:
    major, child = acme.incident(impact=1, urgency=1), acme.incident(by="colleague")
    set_parent(actor=acme.actor("agent"), ticket_id=child.pk, parent_id=major.pk)
    declare_major(
        actor=acme.actor("manager"),
        ticket_id=major.pk,
        commander_id=acme.people["agent"].pk,
        reason="Everybody is down.",
    )
    deliver()
    send_major_update(actor=acme.actor("agent"), ticket_id=major.pk, body="We restart the core switch.")
    deliver()
    again = deliver()
    told = {tuple(one.to): one.subject for one in mail.outbox if "core switch" in one.body}
    assert told == {
        ("requester@acme.example",): f"{major.number} The printer is on fire",
        ("colleague@acme.example",): f"{child.number} The printer is on fire",
    }
    assert again == [], "once"
