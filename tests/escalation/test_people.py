"""Whom a step tells, at the moment at which it does; and that it says so when it is not who was meant."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from itsm.access.commands import set_person_active, withdraw_role
from itsm.access.models import RoleGrant
from itsm.escalation.commands import create_policy
from itsm.escalation.messages import admins
from itsm.events.models import Event
from itsm.oncall.commands import create_schedule, update_schedule
from itsm.oncall.layers import LayerRules
from itsm.oncall.models import OnCallSchedule
from itsm.tickets.models import Ticket
from itsm.tickets.timeline import Entry, timeline
from tests.escalation.chains import MANAGERS, TEAM, person, policy, start, steps, tick, told
from tests.factories import Desk
from tests.sla.desk import MONDAY, at, on

pytestmark = pytest.mark.django_db


def schedule(desk: Desk, *people: str, **rules: Any) -> OnCallSchedule:
    """One layer for each of these people, the first on top."""
    layers = [
        LayerRules(name, "UTC", MONDAY.date(), [desk.people[name].pk], time(0), **rules) for name in reversed(people)
    ]
    return create_schedule(actor=desk.system, name="Nights", layers=layers)


def call(found: OnCallSchedule, level: int = 1) -> dict[str, Any]:
    return {"action": "notify_on_call", "schedule": str(found.pk), "level": level}


def one_step(desk: Desk, *actions: Any, team: str | None = "network", **fields: Any) -> tuple[Ticket, dict[str, Any]]:
    """A ticket whose escalation has these actions as its only step, and that step's event."""
    chain = policy(desk, ("0s", *actions))
    with at(1, 10):
        ticket = desk.incident(by="manager", team_id=desk.teams[team].pk if team else None, **fields)
        start(desk, ticket, chain)
    assert tick(on(1, 10)) == 1
    (taken,) = steps(desk, ticket)
    return ticket, taken


def who(desk: Desk, taken: dict[str, Any]) -> list[str]:
    names = {str(one.pk): name for name, one in desk.people.items()}
    return [names[one] for one in taken["recipients"]]


def story_of(desk: Desk, reader: str, ticket: Ticket) -> list[Entry]:
    with desk.inside():
        return timeline(desk.actor(reader), ticket)


def leave(desk: Desk, name: str) -> None:
    set_person_active(actor=desk.system, person_id=desk.people[name].pk, active=False)


def test_each_is_told_once_whoever_names_him(acme: Desk) -> None:
    _, taken = one_step(acme, person(acme, "agent"), TEAM, MANAGERS, person(acme, "hr"))
    assert who(acme, taken) == ["agent", "manager", "hr"]
    assert [one["outcome"] for one in taken["actions"]] == ["told"] * 4
    assert "instead" not in taken["actions"][0]


def test_people_are_found_when_the_step_is_told_and_not_before(acme: Desk) -> None:
    chain = policy(acme, ("15m", person(acme, "hr")))
    with at(1, 10):
        ticket = acme.incident(by="manager", team_id=acme.teams["network"].pk)
        start(acme, ticket, chain)
    leave(acme, "hr")
    tick(on(1, 10, 15))
    (taken,) = steps(acme, ticket)
    assert (who(acme, taken), taken["actions"][0]["instead"]) == (["agent"], [{"who": "person", "why": "left"}])
    entry = story_of(acme, "agent", ticket)[-1]
    words = {change.field: change.new for change in entry.changes}
    assert words == {"told": "agent of acme", "instead": "the person (left or disabled)"}
    assert (entry.audience, entry.text) == ("internal", "escalation step 1")
    with acme.inside():
        Ticket.objects.update(requester_id=acme.people["requester"].pk)
    kinds = {one.kind for one in story_of(acme, "requester", ticket)}
    assert "incident.opened" in kinds
    assert not any(kind.startswith("escalation.") for kind in kinds), "who is called is the desk's affair"


def test_on_call_is_asked_at_its_level(acme: Desk) -> None:
    found = schedule(acme, "agent", "hr")
    _, taken = one_step(acme, call(found, 2))
    assert (who(acme, taken), taken["actions"][0]["by"]) == (["hr"], "on_call:2")


def test_a_gap_on_call_falls_back_and_says_so(acme: Desk) -> None:
    closed = {"sun": [["01:00", "02:00"]]}
    found = schedule(acme, "hr", restrictions=closed)
    ticket, taken = one_step(acme, call(found))
    assert who(acme, taken) == ["agent"]
    assert taken["actions"][0]["instead"] == [{"who": "on_call:1", "why": "gap"}]
    entry = story_of(acme, "agent", ticket)[-1]
    assert {c.field: c.new for c in entry.changes}["instead"] == "on call, level 1 (nobody is on call)"


def test_a_schedule_out_of_use_is_a_gap(acme: Desk) -> None:
    found = schedule(acme, "hr")
    chain = policy(acme, ("0s", call(found)))
    update_schedule(actor=acme.system, schedule_id=found.pk, active=False)
    with at(1, 10):
        ticket = acme.incident(by="manager")
        start(acme, ticket, chain)
    tick(on(1, 10))
    (taken,) = steps(acme, ticket)
    assert who(acme, taken) == ["manager"]
    assert [one["who"] for one in taken["actions"][0]["instead"]] == ["on_call:1", "team", "schedule_team"]


def test_whoever_may_not_read_the_ticket_is_passed_over(acme: Desk) -> None:
    """A restricted team's ticket: an agent from outside is on call, its own member is told."""
    found = schedule(acme, "agent", "hr")
    chain = policy(acme, ("0s", call(found)))
    with at(1, 10):
        ticket = acme.incident(by="hr", team_id=acme.teams["hr"].pk)
        start(acme, ticket, chain, by="hr")
    tick(on(1, 10))
    (taken,) = steps(acme, ticket)
    assert (who(acme, taken), taken["actions"][0]["instead"]) == (["hr"], [{"who": "on_call:1", "why": "no_access"}])


def test_when_nobody_can_be_told_those_who_run_the_desk_are(acme: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with acme.inside():
        for grant in RoleGrant.objects.filter(role="process_manager"):
            withdraw_role(actor=acme.system, grant_id=grant.pk)
    chain = policy_of_the_admin(acme)
    with at(1, 10):
        ticket = acme.incident()
        start(acme, ticket, chain, by="agent")
    tick(on(1, 10))
    (taken,) = steps(acme, ticket)
    assert (taken["recipients"], taken["actions"][0]["by"]) == ([], "admins")
    with acme.inside():
        event = Event.objects.get(kind="escalation.unanswered")
        assert (event.ticket_id, event.payload["subject"]) == (None, str(ticket.pk))
        assert list(admins(event)) == [acme.people["admin"].pk]
    assert "reached nobody" in caplog.text


def policy_of_the_admin(desk: Desk) -> Any:
    terms = {"start_delay": "0s", "steps": [{"do": [TEAM]}]}
    return create_policy(actor=desk.system, name="Alone", terms=terms)


def test_a_change_that_is_refused_is_told_to_the_managers(acme: Desk) -> None:
    to_requester = {"action": "reassign", "person": str(acme.people["requester"].pk)}
    ticket, taken = one_step(acme, to_requester, TEAM)
    refused = taken["actions"][0]
    assert (refused["outcome"], refused["code"], who(acme, taken)) == ("refused", "not_an_agent", ["manager", "agent"])
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).assignee_id is None


def test_changes_go_through_the_ordinary_commands_with_the_run_as_cause(acme: Desk) -> None:
    found = schedule(acme, "agent")
    ticket, taken = one_step(
        acme,
        {"action": "reassign", "schedule": str(found.pk)},
        {"action": "raise_priority", "by": 2, "cap": 2},
        {"action": "comment", "text": "Nobody has looked at it."},
        {"action": "webhook", "name": "pager"},
        {"action": "declare_major"},
        impact=3,
        urgency=2,
    )
    assert [(one["action"], one["outcome"]) for one in taken["actions"]] == [
        ("reassign", "done"), ("raise_priority", "done"), ("comment", "done"), ("webhook", "done"),
        ("declare_major", "done"),
    ]  # fmt: skip
    with acme.inside():
        row = Ticket.objects.get(pk=ticket.pk)
        assert (row.assignee_id, row.priority, row.impact, row.urgency) == (acme.people["agent"].pk, 2, 2, 1)
        events = list(Event.objects.filter(ticket_id=ticket.pk).order_by("sequence"))
        started = next(event for event in events if event.kind == "escalation.started")
        after = events[events.index(started) + 1 :]
        assert [event.kind for event in after] == [
            "ticket.assigned", "ticket.updated", "sla.retargeted", "sla.retargeted", "ticket.commented",
            "escalation.webhook", "incident.major_declared", "escalation.step_taken",
        ]  # fmt: skip
        assert {event.cause_id for event in after} == {started.pk}
        assert next(e for e in after if e.kind == "ticket.commented").payload["audience"] == "internal"
    assert told(acme, ticket) == [(0, 0, [])]


@pytest.mark.parametrize(
    ("impact", "urgency", "by", "cap", "after"),
    [(3, 3, 1, 1, 4), (3, 3, 4, 1, 1), (3, 3, 4, 3, 3), (2, 2, 1, 1, 2), (1, 1, 1, 1, 1), (1, 2, 1, 2, 2)],
    ids=["5 by 1", "5 by 4", "5 to 3 at most", "3 by 1", "1 stays", "2 is the cap"],
)
def test_priority_is_raised_by_steps_up_to_its_cap(
    acme: Desk, impact: int, urgency: int, by: int, cap: int, after: int
) -> None:
    raising = {"action": "raise_priority", "by": by, "cap": cap}
    ticket, taken = one_step(acme, raising, impact=impact, urgency=urgency)
    before = ticket.priority
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).priority == after
    assert taken["actions"][0]["outcome"] == ("unchanged" if before == after else "done")
