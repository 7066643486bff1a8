"""One's own ticket in a restricted team: it is read as its requester reads it, at every door."""

from __future__ import annotations

import pytest
from django.test import Client

from itsm.events.relay import relay
from itsm.kernel.errors import NotFound
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from itsm.tickets.fetch import read_ticket
from itsm.tickets.models import Ticket
from tests.api.caller import Caller
from tests.factories import Desk


@pytest.fixture
def ticket(acme: Desk) -> Ticket:
    """Logged by the agent, handed to HR, with a note of HR's."""
    found = acme.incident("agent", title="About my salary")
    hr = acme.actor("hr")
    assign_ticket(actor=hr, ticket_id=found.pk, team_id=acme.teams["hr"].pk, assignee_id=acme.people["hr"].pk)
    comment_on_ticket(actor=hr, ticket_id=found.pk, body="Looks odd", audience="internal")
    return found


@pytest.mark.parametrize("page", ["queue/?requester=me", "incidents/{number}/", "reports/incidents/"])
def test_no_page_names_the_team_or_its_member(acme: Desk, ticket: Ticket, page: str) -> None:
    client = Client()
    client.force_login(acme.users["agent"])
    answer = client.get(f"{acme.prefix}/{page.format(number=ticket.number)}")
    said = answer.content.decode()
    assert answer.status_code == 200
    assert ticket.number in said or "report" in page
    assert "<bdi>hr of acme</bdi>" not in said
    assert ">hr<" not in said
    member = Client()
    member.force_login(acme.users["hr"])
    assert ">hr<" in member.get(f"{acme.prefix}/{page.format(number=ticket.number)}").content.decode()


def test_the_report_counts_it_without_the_team(acme: Desk, ticket: Ticket) -> None:
    body = Caller(acme, "agent").get("reports/incidents/").json()
    assert (body["cases"], body["top_teams_last"]) == (1, {})
    assert Caller(acme, "hr").get("reports/incidents/").json()["top_teams_last"] == {"hr": 1}


@pytest.mark.parametrize("question", ["team={team}", "assignee={person}", "assignee=none"])
def test_filters_do_not_tell_one_by_one(acme: Desk, ticket: Ticket, question: str) -> None:
    asked = question.format(team=acme.teams["hr"].pk, person=acme.people["hr"].pk)
    assert Caller(acme, "agent").get(f"incidents/?{asked}").json()["results"] == []
    assert len(Caller(acme, "agent").get("incidents/?requester=me").json()["results"]) == 1


@pytest.mark.parametrize("who", ["agent", "admin", "other_manager"])
def test_the_feed_leaves_it_to_the_timeline(acme: Desk, who: str) -> None:
    reader = Caller(acme, who)
    own = acme.incident("hr", title="Own", requester_id=acme.people[who].pk)
    hr = acme.actor("hr")
    comment_on_ticket(actor=hr, ticket_id=own.pk, body="Looks odd", audience="internal")
    assign_ticket(actor=hr, ticket_id=own.pk, team_id=acme.teams["hr"].pk, assignee_id=hr.person_id)
    relay(acme.tenant.pk)
    feed = reader.get("events/?limit=200").json()["results"]
    assert [event for event in feed if event["ticket"]] == []
    kinds = [entry["kind"] for entry in reader.get(f"incidents/{own.number}/timeline/").json()["results"]]
    assert kinds == ["incident.opened"]


def test_a_requester_who_sends_the_desks_form_meets_the_right_first(acme: Desk) -> None:
    """The page that names a mistake would show the form, with every agent and team that it offers."""
    ticket = acme.incident()
    client = Client()
    client.force_login(acme.users["requester"])
    for name, data in (("assign", {}), ("add-watcher", {"person": "nobody"}), ("edit", {}), ("merge", {})):
        answer = client.post(f"{acme.prefix}/incidents/{ticket.number}/{name}/", data)
        assert answer.status_code == 403, name
        assert "agent of acme" not in answer.content.decode()
        assert "network" not in answer.content.decode()


def test_the_colleague_sees_nothing_of_it(acme: Desk, ticket: Ticket) -> None:
    with pytest.raises(NotFound), acme.inside():
        read_ticket(acme.actor("colleague"), ticket.pk)
