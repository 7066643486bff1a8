"""Lists: pages by key, filters, sorts, chosen members, counted totals, and a fixed number of queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import commands
from itsm.kernel import clock
from itsm.tickets.commands import assign_ticket, comment_on_ticket, link_tickets, watch_ticket
from itsm.tickets.commands.configuration import create_service
from itsm.tickets.models import Ticket
from itsm.tickets.search import index_ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture
def twelve(acme: Desk) -> list[Ticket]:
    """Twelve incidents, an hour apart but for two at the same instant, of changing priority."""
    made = []
    for index in range(12):
        with clock.at(START + timedelta(hours=min(index, 10))):
            made.append(acme.incident(title=f"Number {index}", impact=1 + index % 3, urgency=1 + index % 2))
    return made


def numbers(caller: Caller, address: str) -> list[list[str]]:
    """The numbers of all pages from this address on."""
    pages = []
    url: str | None = address
    while url:
        body = caller.get(url).json()
        pages.append([row["number"] for row in body["results"]])
        url = body["next"]
    return pages


@pytest.mark.parametrize(
    "sort",
    [
        "-opened_at",
        "opened_at",
        "-updated_at",
        "updated_at",
        "priority",
        "-priority",
        "due_at",
        "-due_at",
        "number",
        "-number",
    ],
)
def test_pages_hold_every_row_once_in_order_and_back_again(
    acme: Desk, agent: Caller, twelve: list[Ticket], sort: str
) -> None:
    with acme.inside():
        Ticket.objects.update(due_at=None)
        for days, ticket in enumerate(twelve[:5]):
            Ticket.objects.filter(pk=ticket.pk).update(due_at=START + timedelta(days=days // 2))
    whole = numbers(agent, f"incidents/?sort={sort}&limit=200")[0]
    pages = numbers(agent, f"incidents/?sort={sort}&limit=5")
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [number for page in pages for number in page] == whole
    column = sort.removeprefix("-")
    rows = agent.get(f"incidents/?sort={sort}&limit=200").json()["results"]
    values = [row[column] for row in rows if row[column] is not None]
    assert values == sorted(values, reverse=sort.startswith("-"))
    if column == "due_at":
        assert [row["due_at"] is None for row in rows] == [False] * 5 + [True] * 7
    last = agent.get(agent.get(agent.get(f"incidents/?sort={sort}&limit=5").json()["next"]).json()["next"]).json()
    back = agent.get(last["previous"]).json()
    assert [row["number"] for row in back["results"]] == whole[5:10]
    first = agent.get(back["previous"]).json()
    assert [row["number"] for row in first["results"]] == whole[:5]
    assert first["previous"] is None
    assert agent.get(first["next"]).json()["results"] == back["results"]


def test_rows_that_come_in_between_neither_repeat_nor_skip_one(acme: Desk, agent: Caller, twelve: list[Ticket]) -> None:
    page = agent.get("incidents/?limit=5").json()
    acme.incident(title="Newest")
    rest = [number for numbered in numbers(agent, page["next"]) for number in numbered]
    assert [row["number"] for row in page["results"]] + rest == [t.number for t in reversed(twelve)]


def test_addresses_of_pages_keep_the_filters_and_are_linked(agent: Caller, twelve: list[Ticket]) -> None:
    answer = agent.get("incidents/?state=new&limit=2&count=true&fields=number")
    body = answer.json()
    assert (body["total"], body["total_is_capped"]) == (12, False)
    assert answer["Link"] == f'<{body["next"]}>; rel="next"'
    assert body["next"].startswith("http://testserver/t/acme/api/v1/incidents/?state=new&limit=2&fields=number&cursor=")
    assert set(body["results"][0]) == {"id", "number"}
    second = agent.get(body["next"])
    assert 'rel="next"' in second["Link"]
    assert 'rel="prev"' in second["Link"]
    assert "total" not in second.json()
    problem(agent.get(body["next"] + "&sort=number"), 400, "invalid")


def test_filters(acme: Desk, agent: Caller, requester: Caller, twelve: list[Ticket]) -> None:
    me = acme.actor("agent")
    service = create_service(actor=acme.system, name="Mail")
    with clock.at(START + timedelta(days=1)):
        commands.take_incident(actor=me, ticket_id=twelve[0].pk)
        commands.hold_incident(actor=me, ticket_id=twelve[1].pk, hold_reason="awaiting_vendor")
        mail = acme.incident("colleague", title="Mail", service_id=service.pk)
        assign_ticket(actor=me, ticket_id=mail.pk, team_id=acme.teams["apps"].pk)
    team, colleague = acme.teams["apps"].pk, acme.people["colleague"].pk

    def count(query: str, caller: Caller = agent) -> int:
        body = caller.get(f"incidents/?{query}&count=true").json()
        assert body["total"] == len(body["results"]), body
        return int(body["total"])

    assert count("limit=50") == 13
    assert count("state=in_progress") == count("state=2") == 1
    assert count("state=new,on_hold") == 12
    assert count("state_category=waiting") == 1
    assert count("priority=1") == len([t for t in twelve if t.priority == 1])
    assert count("assignee=me") == count(f"assignee={me.person_id}") == 1
    assert count("assignee=none") == 12
    assert count(f"team={team}") == 1
    assert count(f"requester={colleague}") == 1
    assert count("requester=me", requester) == count("limit=50", requester) == 12
    assert count(f"service={service.pk}") == 1
    assert count("category=none") == 13
    assert count(f"updated_since={quote((START + timedelta(days=1)).isoformat())}") == 3
    assert count("opened_since=2026-03-01T19:00:00Z") == 3
    assert count("state=new&assignee=me") == 0


def test_search_keeps_internal_words_from_requesters(acme: Desk, agent: Caller, requester: Caller) -> None:
    ticket = acme.incident(title="Printer on fire")
    with acme.inside():
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="suspicious caller", audience="internal")
        index_ticket(ticket.pk)
    assert len(agent.get("incidents/?q=suspicious").json()["results"]) == 1
    assert len(requester.get("incidents/?q=suspicious").json()["results"]) == 0
    assert len(requester.get("incidents/?q=printer%20fire").json()["results"]) == 1
    assert len(Caller(acme, "colleague").get("incidents/?q=printer").json()["results"]) == 0


def test_a_restricted_team_is_nowhere_but_for_its_members(acme: Desk, agent: Caller, requester: Caller) -> None:
    ticket = acme.incident("requester")
    hr = acme.teams["hr"].pk
    assign_ticket(actor=acme.actor("hr"), ticket_id=ticket.pk, team_id=hr, assignee_id=acme.people["hr"].pk)
    assert agent.get("incidents/?count=true").json()["total"] == 0
    problem(agent.get(f"incidents/{ticket.number}/"), 404, "not_found")
    problem(agent.get(f"incidents/{ticket.pk}/timeline/"), 404, "not_found")
    mine = requester.get(f"incidents/{ticket.pk}/").json()
    assert (mine["team"], mine["assignee"]) == (None, None)
    assert "hr" not in [team["name"] for team in agent.get("teams/").json()["results"]]
    problem(agent.get(f"teams/{hr}/"), 404, "not_found")
    assert agent.get(f"users/?team={hr}").json()["results"] == []
    assert Caller(acme, "hr").get(f"incidents/{ticket.pk}/").json()["team"]["name"] == "hr"


def test_expand(acme: Desk, agent: Caller, requester: Caller) -> None:
    ticket = acme.incident()
    whole = agent.get(f"incidents/{ticket.pk}/?expand=requester,team&fields=requester,team").json()
    assert whole["requester"] == {
        "id": str(acme.people["requester"].pk),
        "name": "requester of acme",
        "email": "requester@acme.example",
        "organisation": None,
    }
    refused = problem(requester.get(f"incidents/{ticket.pk}/?expand=requester"), 403, "forbidden")
    assert refused["permission"] == "person.read"


# --- Query budgets ---------------------------------------------------------------------------------------------------

BUDGETS: dict[str, int] = json.loads((Path(__file__).parents[1] / "budgets.json").read_text())["api"]


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as queries:
        yield queries


@pytest.mark.parametrize("address", sorted(BUDGETS))
def test_the_number_of_queries_is_fixed(acme: Desk, agent: Caller, address: str) -> None:
    """The budget holds for a filled page, and it does not grow with the rows."""
    me = acme.actor("agent")
    spent = []
    for rows in (2, 12):
        with acme.inside():
            while Ticket.objects.count() < rows:
                ticket = acme.incident(team_id=acme.teams["apps"].pk, by="agent")
                comment_on_ticket(actor=me, ticket_id=ticket.pk, body="x")
                link_tickets(actor=me, ticket_id=ticket.pk, target_id=Ticket.objects.earliest("opened_at").pk) if (
                    Ticket.objects.count() > 1
                ) else None
        agent.get("me/")
        with counted() as queries:
            assert agent.get(address.replace("{id}", "INC0001001")).status_code == 200
        spent.append(len([q for q in queries.captured_queries if not _frame(q["sql"])]))
    assert spent[0] == spent[1]
    assert spent[1] == BUDGETS[address], "update tests/budgets.json on purpose, never in passing"


def test_a_watchers_list_costs_the_same_however_much_he_watches(acme: Desk, requester: Caller) -> None:
    spent = []
    for rows in (2, 8):
        with acme.inside():
            while Ticket.objects.count() < rows:
                ticket = acme.incident("colleague")
                watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, person_id=acme.people["requester"].pk)
        requester.get("me/")
        with counted() as queries:
            results = requester.get("incidents/").json()["results"]
        assert [row["allowed_verbs"] for row in results] == [["comment", "attach", "watch"]] * rows
        spent.append(len(queries.captured_queries))
    assert spent[0] == spent[1]


def _frame(sql: str) -> bool:
    """Savepoints and the tenant setting are the frame of every request, not a cost of this one."""
    return sql.startswith(("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO")) or "set_config" in sql


def test_nobody_counts_what_was_not_asked_for(agent: Caller, twelve: list[Ticket]) -> None:
    with counted() as queries:
        body: dict[str, Any] = agent.get("incidents/").json()
    assert "total" not in body
    assert not [q for q in queries.captured_queries if "COUNT(" in q["sql"]]
