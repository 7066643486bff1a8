"""The one-tap link: reading it does nothing, sending its form acts once, and what cannot be used says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from incidents.commands import resolve_incident
from itsm.access.commands import set_person_active
from itsm.kernel.actor import Actor
from itsm.notify import links, topics
from itsm.notify.models import Notification, Urgency
from tests.factories import Desk

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.usefixtures("noon")


@pytest.fixture
def taken(acme: Desk, registry: dict[str, Any]) -> list[Actor]:
    """Who acknowledged, through a topic that pages the agent for every incident."""
    found: list[Actor] = []
    topics.register(
        topics.Topic(
            "page",
            "Paged",
            ("incident.opened",),
            lambda _e: [acme.people["agent"].pk],
            Urgency.PAGE,
            acknowledge=lambda actor, _event: found.append(actor),
        )
    )
    return found


def link_in(mail: Any) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/acknowledge/\S+/)\n", mail.body)
    assert found
    return found.group(1)


def test_reading_does_nothing_and_the_form_acts_once(acme: Desk, deliver: Deliver, taken: list[Actor]) -> None:
    ticket = acme.incident()
    [mail] = deliver()
    address, phone = link_in(mail), Client(enforce_csrf_checks=True)
    for _ in range(3):
        page = phone.get(address)
        assert (page.status_code, phone.head(address).status_code) == (200, 200)
    assert ticket.number in page.text
    assert "no-store" in page["Cache-Control"]
    assert taken == []
    # A form of another site has no token of ours.
    assert phone.post(address).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    done = phone.post(address, {"csrfmiddlewaretoken": token.group(1)})
    assert (done.status_code, "Acknowledged" in done.text) == (200, True)
    assert [actor.person_id for actor in taken] == [acme.people["agent"].pk]
    with acme.inside():
        row = Notification.objects.get(topic="page")
        assert row.acknowledged_at == row.read_at is not None
    again = phone.post(address, {"csrfmiddlewaretoken": token.group(1)})
    assert (again.status_code, "used this link already" in again.text) == (410, True)
    assert phone.get(address).status_code == 410
    assert len(taken) == 1


def test_links_that_cannot_be_used(
    acme: Desk, deliver: Deliver, taken: list[Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = acme.incident()
    [mail] = deliver()
    address = link_in(mail)
    token = address.split("/")[2]
    for wrong in (token[:-1], token + "x", "x", token.replace(":", "-"), "%00", "a:b:c"):
        page = Client().get(f"/acknowledge/{wrong}/")
        assert (page.status_code, "<h1>" in page.text) == (404, True), wrong
    # Signed by us for something else.
    from django.core import signing

    assert Client().get(f"/acknowledge/{signing.dumps(['a', 'b', 'c'])}/").status_code == 404
    foreign = Client()
    foreign.force_login(acme.users["manager"])
    assert foreign.get(address).status_code == 403
    assert foreign.post(address).status_code == 403
    own = Client()
    own.force_login(acme.users["agent"])
    assert own.get(address).status_code == 200
    resolve_incident(actor=acme.actor("manager"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")
    over = Client().get(address)
    assert (over.status_code, "needs nobody" in over.text) == (409, True)
    assert Client().post(address).status_code == 409
    monkeypatch.setattr(links, "LIFE", -links.LIFE)
    assert (Client().get(address).status_code, Client().post(address).status_code) == (410, 410)
    assert taken == []


def test_whoever_may_not_see_the_ticket_any_more_takes_nothing_on(
    acme: Desk, globex: Desk, deliver: Deliver, taken: list[Actor]
) -> None:
    from itsm.tickets.commands import assign_ticket

    ticket = acme.incident()
    [mail] = deliver()
    address = link_in(mail)
    assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["hr"].pk)
    assert (Client().get(address).status_code, Client().post(address).status_code) == (404, 404)
    assert ticket.title not in Client().get(address).text
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    assert Client().post(address).status_code == 404
    # Somebody of another organisation who is signed in is nobody here.
    stranger = Client()
    stranger.force_login(globex.users["agent"])
    assert stranger.post(address).status_code == 404
    assert taken == []


def test_a_topic_without_acknowledge_has_no_link(acme: Desk, deliver: Deliver) -> None:
    from itsm.tickets.commands import comment_on_ticket

    ticket = acme.incident()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="x")
    [mail] = deliver()
    assert "/acknowledge/" not in mail.body
    with acme.inside():
        row = Notification.objects.get()
    assert Client().get(f"/acknowledge/{links.sign(row)}/").status_code == 404
