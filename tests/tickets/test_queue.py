"""The one list query: what it finds, in which order, page by page, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.commands import hold_incident, take_incident
from itsm.kernel.errors import Invalid
from itsm.tickets import queue
from itsm.tickets.commands import assign_ticket
from itsm.tickets.search import index_ticket
from tests.factories import Desk


def numbers(desk: Desk, who: str, **given: Any) -> list[str]:
    actor = desk.actor(who)
    query = queue.parse(actor, {name: value if isinstance(value, list) else [value] for name, value in given.items()})
    return [ticket.number[-2:] for ticket in queue.page(actor, query).tickets]


@pytest.fixture
def desk(inside: Desk) -> Desk:
    """01 P5 unassigned, 02 P1 of network and the agent, 03 P3 on hold, 04 of the restricted team, 05 of a colleague."""
    first = [
        inside.incident(title="Printer jam"),
        inside.incident(title="Network down", impact=1, urgency=1),
        inside.incident(title="Slow mail", impact=1, urgency=3),
        inside.incident(title="Salary secret", impact=1, urgency=1),
        inside.incident("colleague", title="Printer colour"),
    ]
    agent = inside.actor("agent")
    take_incident(actor=agent, ticket_id=first[1].pk)
    hold_incident(actor=agent, ticket_id=first[2].pk, hold_reason="awaiting_vendor")
    assign_ticket(actor=inside.actor("hr"), ticket_id=first[3].pk, team_id=inside.teams["hr"].pk)
    for ticket in first:
        index_ticket(ticket.pk)
    return inside


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["02", "03", "05", "01"]),
        ({"view": "mine"}, ["02"]),
        ({"view": "unassigned"}, ["03", "05", "01"]),
        ({"view": "urgent"}, ["02"]),
        ({"view": "waiting"}, ["03"]),
        ({"priority": "1,3"}, ["02", "03"]),
        ({"priority": ["1", "3"]}, ["02", "03"]),
        ({"state": "on_hold"}, ["03"]),
        ({"state": "3"}, ["03"]),
        ({"state_category": "new,waiting"}, ["03", "05", "01"]),
        ({"team": "me"}, ["02"]),
        ({"team": "none"}, ["03", "05", "01"]),
        ({"assignee": "me"}, ["02"]),
        ({"assignee": "none", "priority": "5"}, ["05", "01"]),
        ({"q": "printer"}, ["05", "01"]),
        ({"q": "inc0001002"}, ["02"]),
        ({"q": "salary"}, []),
        ({"sort": "opened"}, ["01", "02", "03", "05"]),
        ({"sort": "-opened"}, ["05", "03", "02", "01"]),
        ({"sort": "number", "limit": "2"}, ["01", "02"]),
        ({"sort": "-priority"}, ["05", "01", "03", "02"]),
        ({"kind": "incident", "opened_since": "2999-01-01T00:00:00Z"}, []),
    ],
)
def test_filters_and_order_for_an_agent(desk: Desk, given: dict[str, Any], expected: list[str]) -> None:
    assert numbers(desk, "agent", **given) == expected


def test_restricted_and_foreign_tickets_are_in_nobodys_list_or_count(desk: Desk) -> None:
    assert "04" in numbers(desk, "hr")
    assert numbers(desk, "requester", sort="number") == ["01", "02", "03", "04"]
    assert numbers(desk, "colleague") == ["05"]
    assert queue.counts(desk.actor("agent")) == {
        "mine": 1,
        "unassigned": 3,
        "open": 4,
        "urgent": 1,
        "waiting": 1,
        "major": 0,
        "due": 4,
        "breached": 0,
    }
    assert queue.counts(desk.actor("hr")) == {
        "mine": 0,
        "unassigned": 4,
        "open": 5,
        "urgent": 2,
        "waiting": 1,
        "major": 0,
        "due": 5,
        "breached": 0,
    }
    assert queue.counts(desk.actor("other_manager")) == {
        "mine": 0,
        "unassigned": 0,
        "open": 0,
        "urgent": 0,
        "waiting": 0,
        "major": 0,
        "due": 0,
        "breached": 0,
    }


@pytest.mark.parametrize("sort", ["priority", "-priority", "opened", "-updated", "due", "-due", "number"])
def test_pages_join_without_a_gap(desk: Desk, sort: str) -> None:
    actor = desk.actor("agent")
    whole = [t.number for t in queue.page(actor, queue.parse(actor, {"sort": [sort]})).tickets]
    assert len(whole) == 4
    walked: list[str] = []
    after = ""
    while True:
        found = queue.page(actor, queue.parse(actor, {"sort": [sort], "limit": ["1"], "after": [after]}))
        walked += [t.number for t in found.tickets]
        after = found.next
        if not after:
            break
    assert walked == whole


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"colour": ["red"]}, "/colour"),
        ({"view": ["everything"]}, "/view"),
        ({"state": ["sleeping"]}, "/state"),
        ({"priority": ["9"]}, "/priority"),
        ({"team": ["x"]}, "/team"),
        ({"service": ["me"]}, "/service"),
        ({"sort": ["password"]}, "/sort"),
        ({"limit": ["0"]}, "/limit"),
        ({"limit": ["²"]}, "/limit"),
        ({"updated_since": ["yesterday"]}, "/updated_since"),
        ({"updated_since": ["2026-01-01T00:00:00"]}, "/updated_since"),
        ({"after": ["\u00e9"]}, "/after"),
        ({"after": ["AAAA"]}, "/after"),
        ({"after": ["W10"]}, "/after"),
        ({"assignee": ["none," * 51 + ",".join(str(n) for n in range(60))]}, "/assignee"),
    ],
)
def test_a_bad_parameter_is_named(inside: Desk, given: dict[str, list[str]], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        queue.parse(inside.actor("agent"), given)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_counts_are_one_query_and_a_page_is_one(desk: Desk) -> None:
    actor = desk.actor("agent")
    with CaptureQueriesContext(
        connection,
    ) as counted:
        queue.counts(actor)
    with CaptureQueriesContext(connection) as paged:
        queue.page(actor, queue.parse(actor, {}))
    assert (len(counted), len(paged)) == (1, 1)
