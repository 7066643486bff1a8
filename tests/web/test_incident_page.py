"""The incident page: what each reader sees, and what each button does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.models import Incident
from incidents.web.actions import ACTIONS
from itsm.events.models import Event
from itsm.tickets.commands import (
    comment_on_ticket,
    link_tickets,
)
from itsm.tickets.models import Service, Ticket, TicketLink, Watcher
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import events_of, post, state_of, text, url


def test_log_take_comment_hold_resume_resolve_reopen_close(acme: Desk, browser: Browser) -> None:
    requester, agent = browser("requester"), browser("agent")
    logged = requester.post(
        f"{acme.prefix}/incidents/new/",
        {"title": "No mail", "description": "Since *nine*", "impact": "2", "urgency": "1"},
    )
    assert (logged.status_code, logged["Location"]) == (302, f"{acme.prefix}/incidents/INC0001001/")
    with acme.inside():
        ticket = Ticket.objects.get(number="INC0001001")
    assert (ticket.title, ticket.priority, ticket.channel) == ("No mail", 2, "web")
    page = text(requester.get(url(acme, ticket)))
    assert "INC0001001" in page
    assert "Since <em>nine</em>" in page
    for name, data, state in (
        ("take", {}, 2),
        ("comment", {"audience": "public", "body": "On it"}, 2),
        ("hold", {"hold_reason": "awaiting_caller", "comment": "Which server?"}, 3),
        ("resume", {}, 2),
        ("resolve", {"close_code": "solution_provided", "close_notes": "Restarted it"}, 6),
    ):
        done = post(agent, acme, ticket, name, **data)
        assert (name, done.status_code, done["Location"]) == (name, 302, url(acme, ticket))
        assert state_of(acme, ticket) == state
    assert post(requester, acme, ticket, "reopen", reason="Gone again").status_code == 302
    assert state_of(acme, ticket) == 2
    assert post(agent, acme, ticket, "resolve", close_code="known_error", close_notes="x").status_code == 302
    assert post(requester, acme, ticket, "close").status_code == 302
    assert state_of(acme, ticket) == 7
    assert "is closed" in text(requester.get(url(acme, ticket)))


@pytest.mark.parametrize("who", ["agent", "hr", "manager", "owner", "admin", "auditor", "requester"])
def test_each_role_reads_the_page(acme: Desk, browser: Browser, who: str) -> None:
    ticket = acme.incident()
    response = browser(who).get(url(acme, ticket))
    assert response.status_code == 200
    page = text(response)
    works = who in {"agent", "hr", "manager", "owner"}
    assert ('value="take"' in page or "/take/" in page) == works
    assert ("/edit/" in page) == works
    assert ("/comment/" in page) == (works or who == "requester")
    assert ("Internal note" in page) == works


@pytest.mark.parametrize("who", ["colleague", "other_manager"])
def test_who_may_not_see_it_gets_the_same_answer_as_for_no_ticket(acme: Desk, browser: Browser, who: str) -> None:
    ticket = acme.incident()
    client = browser(who)
    hidden, absent = client.get(url(acme, ticket)), client.get(f"{acme.prefix}/incidents/INC0009999/")
    assert (hidden.status_code, absent.status_code) == (404, 404)

    def bare(response: Any) -> str:
        return re.sub(r"<code>.*?</code>|value=\"\w{64}\"", "", text(response))

    assert bare(hidden) == bare(absent)
    assert post(client, acme, ticket, "cancel", reason="x").status_code == 404
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)


def test_another_tenants_incident_does_not_exist(acme: Desk, globex: Desk, browser: Browser) -> None:
    acme.incident()
    globex.incident()
    theirs = globex.incident(title="Globex only")
    client = browser("agent")
    assert client.get(url(acme, theirs)).status_code == 404
    assert client.get(url(globex, theirs)).status_code == 404
    assert post(client, globex, theirs, "cancel", reason="x").status_code == 404
    assert state_of(globex, theirs) == 1


@pytest.mark.parametrize("number", ["INC0001001%00", "%F0%9F%92%A9", "0", "INC" + "9" * 400, "../etc/passwd", "'"])
def test_strange_numbers_are_unknown_pages(acme: Desk, browser: Browser, number: str) -> None:
    assert browser("agent").get(f"{acme.prefix}/incidents/{number}/").status_code == 404


def test_side_fields_watchers_links_parent_and_merge(acme: Desk, browser: Browser) -> None:
    ticket, parent, twin = acme.incident(), acme.incident(), acme.incident("colleague")
    with acme.inside():
        service = Service.objects.create(tenant_id=acme.tenant.pk, name="Mail")
    agent = browser("agent")
    assert "Mail" in text(agent.get(url(acme, ticket)))
    edited = post(
        agent, acme, ticket, "edit", **{
            "title": "New title", "initial-title": "The printer is on fire", "impact": "1", "initial-impact": "3",
            "urgency": "3", "initial-urgency": "3", "service": str(service.pk), "initial-service": "",
            "requester": "colleague@acme.example", "initial-requester": "requester@acme.example",
        },
    )  # fmt: skip
    assert edited.status_code == 302
    for name, data in (
        ("assign", {"team": str(acme.teams["apps"].pk), "assignee": str(acme.people["agent"].pk)}),
        ("add-watcher", {"person": "requester@acme.example"}),
        ("watch", {}),
        ("link", {"kind": "relates_to", "number": twin.number.lower()}),
        ("parent", {"number": parent.number}),
    ):
        assert (name, post(agent, acme, ticket, name, **data).status_code) == (name, 302)
    with acme.inside():
        fresh = Ticket.objects.get(pk=ticket.pk)
        assert (fresh.title, fresh.impact, fresh.priority, fresh.service_id) == ("New title", 1, 3, service.pk)
        assert (fresh.requester_id, fresh.parent_id) == (acme.people["colleague"].pk, parent.pk)
        assert (fresh.team_id, fresh.assignee_id) == (acme.teams["apps"].pk, acme.people["agent"].pk)
        assert Watcher.objects.filter(ticket_id=ticket.pk).count() == 2
        link = TicketLink.objects.get()
    page = text(agent.get(url(acme, ticket)))
    assert twin.number in page
    assert parent.number in page
    assert post(agent, acme, ticket, "unlink", link=str(link.pk)).status_code == 302
    assert post(agent, acme, ticket, "unwatch", person=str(acme.people["requester"].pk)).status_code == 302
    assert post(agent, acme, ticket, "unwatch").status_code == 302
    assert post(agent, acme, twin, "merge", number=ticket.number).status_code == 302
    with acme.inside():
        assert (Watcher.objects.filter(ticket_id=ticket.pk).count(), TicketLink.objects.count()) == (0, 1)
        assert Incident.objects.get(pk=twin.pk).close_code == "duplicate"
        assert Ticket.objects.get(pk=twin.pk).duplicate_of_id == ticket.pk


def test_the_number_of_queries_does_not_grow(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent, actor = browser("agent"), acme.actor("agent")

    def grow(count: int) -> None:
        for number in range(count):
            other = acme.incident()
            comment_on_ticket(actor=actor, ticket_id=ticket.pk, body=f"Words {number}")
            link_tickets(actor=actor, ticket_id=ticket.pk, target_id=other.pk)

    def spent() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert agent.get(url(acme, ticket)).status_code == 200
        return len(queries)

    grow(2)
    few = spent()
    grow(6)
    assert spent() == few
    assert few <= 32


def test_work_starts_without_taking_it(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    assert post(browser("agent"), acme, ticket, "start")["Location"] == url(acme, ticket)
    with acme.inside():
        now = Ticket.objects.get(pk=ticket.pk)
        assert (now.state, now.assignee_id) == (2, None)
        assert Event.objects.filter(ticket_id=ticket.pk).order_by("-sequence")[0].kind == "incident.started"


def test_reading_a_verbs_address_leads_to_the_page(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    for name in ACTIONS:
        answer = agent.get(url(acme, ticket, name))
        assert (answer.status_code, answer["Location"]) == (302, url(acme, ticket)), name
    assert agent.get(url(acme, ticket, "explode")).status_code == 404
    assert agent.put(url(acme, ticket)).status_code == 405
