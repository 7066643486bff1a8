"""What the incident page refuses, what it shows then, and that nothing was changed."""

from __future__ import annotations

import re

import pytest

from incidents import commands
from itsm.events.models import Event
from itsm.tickets.commands import (
    update_ticket,
)
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.web.conftest import Browser
from tests.web.sending import events_of, post, state_of, text, url


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("take", {}),
        ("start", {}),
        ("hold", {"hold_reason": "awaiting_vendor"}),
        ("resolve", {"close_code": "known_error", "close_notes": "x"}),
        ("assign", {"team": ""}),
        ("edit", {"title": "Mine", "impact": "1", "urgency": "1", "requester": "requester@acme.example"}),
        ("merge", {"number": "INC0001002"}),
        ("link", {"kind": "relates_to", "number": "INC0001002"}),
        ("comment", {"audience": "internal", "body": "x"}),
    ],
)
def test_a_requester_cannot_do_the_desks_work(acme: Desk, browser: Browser, name: str, data: dict[str, str]) -> None:
    ticket = acme.incident()
    acme.incident()
    response = post(browser("requester"), acme, ticket, name, **data)
    assert response.status_code == (400 if name == "comment" else 403)
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).version == 1
        assert Event.objects.filter(ticket_id=ticket.pk).count() == 1
        assert Event.objects.filter(kind="access.refused").count() == (0 if name == "comment" else 1)


def test_csrf_is_enforced(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    client = browser("agent", csrf=True)
    refused = client.post(url(acme, ticket, "cancel"), {"version": 1, "reason": "x"})
    assert refused.status_code == 403
    assert "expired" in text(refused)
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text(client.get(url(acme, ticket))))
    assert token
    data = {"version": 1, "seen": 1, "reason": "x", "csrfmiddlewaretoken": token[1]}
    assert client.post(url(acme, ticket, "cancel"), data).status_code == 302


def test_a_conflict_shows_what_changed_and_keeps_what_was_typed(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    stale = {"version": ticket.version, "seen": ticket.last_sequence}
    update_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, impact=1)
    sent = {**stale, "close_code": "known_error", "close_notes": "My long text & more"}
    response = post(browser("agent"), acme, ticket, "resolve", **sent)
    page = text(response)
    assert response.status_code == 412
    assert "This changed while you were writing" in page
    assert "manager of acme" in page
    assert "My long text &amp; more" in page
    assert '<option value="known_error" selected>' in page
    assert state_of(acme, ticket) == 1
    # The form on the new page carries the new version: sending it again works.
    versions = set(re.findall(r'name="version" value="(\d+)"', page))
    assert versions == {"2"}
    assert post(browser("agent"), acme, ticket, "resolve", **{**sent, "version": 2}).status_code == 302


def test_after_a_conflict_untouched_fields_follow_the_ticket(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident(title="Old title", impact=3)
    was = {
        "initial-title": "Old title",
        "initial-description": "",
        "initial-impact": "3",
        "initial-urgency": "3",
        "initial-service": "",
        "initial-category": "",
        "initial-requester": "requester@acme.example",
    }
    typed = {
        "title": "My new title",
        "description": "",
        "impact": "3",
        "urgency": "3",
        "service": "",
        "category": "",
        "requester": "requester@acme.example",
    }
    update_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, impact=1)
    response = post(browser("agent"), acme, ticket, "edit", version=1, seen=1, **was, **typed)
    page = text(response)
    assert response.status_code == 412
    assert 'name="title" value="My new title"' in page
    form = page[page.index('action="/t/acme/incidents/INC0001001/edit/"') :]
    assert re.search(r'<select name="impact"[^>]*>\s*<option value="1" selected>', form)
    again = post(browser("agent"), acme, ticket, "edit", **{**was, "initial-impact": "1"}, **{**typed, "impact": "1"})
    assert again.status_code == 302
    with acme.inside():
        fresh = Ticket.objects.get(pk=ticket.pk)
    assert (fresh.title, fresh.impact, fresh.version) == ("My new title", 1, 3)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("resolve", {"close_code": "known_error", "close_notes": " "}, "This field is required"),
        ("resolve", {"close_code": "duplicate", "close_notes": "kept text"}, "Select a valid choice"),
        ("hold", {"hold_reason": "awaiting_caller", "comment": ""}, "Please fill this in."),
        ("cancel", {"reason": "a\x00b"}, "Null characters are not allowed"),
        ("merge", {"number": "INC0001001"}, "A ticket cannot point to itself."),
        ("merge", {"number": "INC7777777"}, "There is no such ticket"),
        ("parent", {"number": "INC0001001"}, "ancestor"),
        ("comment", {"audience": "public", "body": ""}, "Write something, or choose a file."),
        ("comment", {"audience": "everybody", "body": "kept text"}, "Select a valid choice"),
        ("add-watcher", {"person": "nobody@nowhere.example"}, "Nobody here has this name or address."),
        ("cancel", {"reason": "x", "version": "99999999999999999999"}, "less than or equal"),
        ("cancel", {"reason": "x", "version": ""}, "required"),
        ("reopen", {"reason": "kept text"}, "not possible"),
    ],
)
def test_bad_input_is_named_beside_the_field(
    acme: Desk, browser: Browser, name: str, data: dict[str, str], says: str
) -> None:
    ticket = acme.incident()
    response = post(browser("agent"), acme, ticket, name, **data)
    page = text(response)
    assert response.status_code == (409 if name == "reopen" else 400)
    assert says in page
    if "kept text" in data.values():
        assert "kept text" in page
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (1, 1)


def test_a_closed_incident_shows_no_verbs_and_refuses_every_post(acme: Desk, browser: Browser) -> None:
    ticket = acme.incident()
    agent = browser("agent")
    commands.cancel_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="no")
    page = text(agent.get(url(acme, ticket)))
    actions = set(re.findall(r'action="[^"]*INC0001001/([a-z-]+)/"', page))
    assert actions == {"follow-up"}
    before = events_of(acme, ticket)
    for name, data in (
        ("take", {}),
        ("resolve", {"close_code": "known_error", "close_notes": "x"}),
        ("reopen", {"reason": "x"}),
        ("comment", {"audience": "public", "body": "my late words"}),
        ("watch", {}),
        ("assign", {"team": str(acme.teams["apps"].pk), "initial-team": ""}),
    ):
        response = post(agent, acme, ticket, name, **data)
        assert (name, response.status_code) == (name, 409)
    assert "my late words" in text(post(agent, acme, ticket, "comment", audience="public", body="my late words"))
    assert (state_of(acme, ticket), events_of(acme, ticket)) == (8, before)
    follow = post(browser("requester"), acme, ticket, "follow-up", description="It is back")
    assert follow["Location"] == f"{acme.prefix}/incidents/INC0001002/"
