"""The feed of events: complete, in order, without gaps, and only what the reader may see."""

from __future__ import annotations

from typing import Any

import pytest

from itsm.events.models import Event, FeedEntry
from itsm.events.relay import relay
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk


def feed(caller: Caller, limit: int = 200, after: int = 0) -> list[dict[str, Any]]:
    """Everything after a position, page by page, until the feed says that there is no more."""
    found: list[dict[str, Any]] = []
    url: str | None = f"events/?after={after}&limit={limit}"
    while url:
        body = caller.get(url).json()
        found += body["results"]
        url = body["next"]
    return found


def test_an_auditor_reads_every_event_once_without_gaps(acme: Desk) -> None:
    auditor, owner = Caller(acme, "auditor"), Caller(acme, "owner")
    for _ in range(3):
        acme.incident()
    relay(acme.tenant.pk)
    for page in (7, 200):
        positions = [event["position"] for event in feed(owner, page)]
        assert positions == list(range(1, len(positions) + 1))
    with acme.inside():
        assert len(positions) == Event.objects.count() == FeedEntry.objects.count()
    assert [event["kind"] for event in feed(auditor, after=len(positions) - 3)] == ["incident.opened"] * 3
    body = auditor.get("events/?limit=200").json()
    assert (body["next"], body["previous"], body["after"]) == (None, None, len(positions))
    assert auditor.get(f"events/?after={body['after']}").json() == {
        "results": [],
        "next": None,
        "previous": None,
        "after": body["after"],
    }
    acme.incident()
    assert auditor.get(f"events/?after={body['after']}").json()["results"] == [], "not sealed, so not told"
    relay(acme.tenant.pk)
    (event,) = auditor.get(f"events/?after={body['after']}").json()["results"]
    assert event["position"] == body["after"] + 1
    assert event["ticket"]["number"] == "INC0001004"
    assert event["payload"]["state"] == [None, 1]
    assert "The printer" not in auditor.get("events/?limit=200").content.decode()


def test_events_follow_the_visibility_of_their_tickets(acme: Desk, agent: Caller) -> None:
    hr, admin = Caller(acme, "hr"), Caller(acme, "admin")
    ticket = acme.incident()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="note", audience="internal")
    relay(acme.tenant.pk)
    assert [event["kind"] for event in feed(agent)] == ["incident.opened", "ticket.commented"]
    told = [event["kind"] for event in feed(admin) if event["ticket"]]
    assert told == ["incident.opened"], "admins do not read internal notes, and everything else"
    assert "token.created" in [event["kind"] for event in feed(admin)]
    assign_ticket(actor=acme.actor("hr"), ticket_id=ticket.pk, team_id=acme.teams["hr"].pk)
    relay(acme.tenant.pk)
    assert feed(agent) == []
    assert [event["kind"] for event in feed(hr)] == ["incident.opened", "ticket.commented", "ticket.assigned"]


def test_another_tenants_events_are_not_there(acme: Desk, globex: Desk) -> None:
    auditor = Caller(globex, "auditor")
    acme.incident()
    relay(acme.tenant.pk)
    relay(globex.tenant.pk)
    assert "incident.opened" not in {event["kind"] for event in feed(auditor)}


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999999999999", "limit=0", "from=3"])
def test_bad_positions(agent: Caller, query: str) -> None:
    found = problem(agent.get(f"events/?{query}"), 400, "invalid")
    assert found["errors"][0]["parameter"] == query.partition("=")[0]


def test_requesters_and_narrow_tokens_do_not_read_the_feed(acme: Desk, requester: Caller) -> None:
    assert problem(requester.get("events/"), 403, "forbidden")["permission"] == "event.read"
    problem(Caller(acme, "agent", "incidents:read").get("events/"), 403, "forbidden")
    assert Caller(acme, "agent", "events:read").get("events/").json()["results"] == []
