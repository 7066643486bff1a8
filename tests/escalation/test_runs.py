"""A run from its start to its end: which step when, who is told, what stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from incidents.commands import (
    cancel_incident,
    close_incident,
    hold_incident,
    merge_incident,
    resolve_incident,
    start_incident,
    take_incident,
)
from itsm.escalation.audit import audit_all, overdue
from itsm.escalation.commands import acknowledge_escalation, start_escalation, update_policy
from itsm.escalation.fires import STEPS
from itsm.escalation.messages import over, paged
from itsm.escalation.models import EscalationFire, EscalationRun
from itsm.escalation.sweep import RUNS
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.tickets.commands import assign_ticket, comment_on_ticket, update_ticket
from itsm.tickets.models import Ticket
from tests.escalation.chains import MANAGERS, TEAM, fires, person, policy, run_of, start, steps, story, tick, told
from tests.factories import Desk
from tests.sla.desk import at, on

pytestmark = pytest.mark.django_db


def opened(desk: Desk, **fields: Any) -> Ticket:
    with at(1, 10):
        return desk.incident(by="manager", team_id=desk.teams["network"].pk, **fields)


def test_steps_are_taken_in_order_each_when_it_is_due(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM), ("15m", person(acme, "hr")), ("30m", MANAGERS), loops=1, loop_gap="5m")
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    # The first pass: 10:00, 10:15, 10:45; the second begins five minutes after: 10:50, 11:05, 11:35; 11:40 nobody answered.
    for early, due in ((None, on(1, 10)), (on(1, 10, 14, 59), on(1, 10, 15)), (on(1, 10, 44, 59), on(1, 10, 45)),
                       (on(1, 10, 49, 59), on(1, 10, 50)), (on(1, 11, 4, 59), on(1, 11, 5)),
                       (on(1, 11, 34, 59), on(1, 11, 35)), (on(1, 11, 39, 59), on(1, 11, 40))):  # fmt: skip
        assert early is None or tick(early) == 0
        assert tick(due) == 1, due
    assert tick(on(9, 0)) == 0
    assert told(acme, ticket) == [
        (0, 0, ["agent"]), (0, 1, ["hr"]), (0, 2, ["manager"]),
        (1, 0, ["agent"]), (1, 1, ["hr"]), (1, 2, ["manager"]), (1, 3, []),
    ]  # fmt: skip
    assert [one["exhausted"] for one in steps(acme, ticket)] == [False] * 6 + [True]
    run = run_of(acme, ticket)
    assert (run.state, run.ended_at, run.next_due_at) == ("exhausted", on(1, 11, 40), None)
    assert story(acme, ticket) == ["started", *["step_taken"] * 7]


def test_fifty_ticks_take_a_step_once(acme: Desk) -> None:
    """Pain 5."""
    chain = policy(acme, ("0s", TEAM), ("8h", MANAGERS))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    assert sum(tick(on(1, 11)) for _ in range(50)) == 1
    assert told(acme, ticket) == [(0, 0, ["agent"])]


def test_the_start_delay_forgives_whoever_is_quick(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM), start_delay="10s")
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    assert tick(on(1, 10, 0, 9)) == 0
    with at(1, 10, 0, 9):
        take_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    assert tick(on(1, 12)) == 0
    assert story(acme, ticket) == ["started", "acknowledged"]


def test_after_an_outage_one_step_speaks_and_the_rest_keep_their_distance(acme: Desk) -> None:
    chain = policy(
        acme, ("0s", TEAM), ("10m", MANAGERS), ("10m", {"action": "comment", "text": "Still open"}), ("10m", TEAM)
    )
    ticket = opened(acme, impact=1, urgency=1)
    with at(1, 10):
        start(acme, ticket, chain)
    # At 10:25 three were overdue; the last that tells somebody is the second.
    assert (tick(on(1, 10, 25)), tick(on(1, 10, 25))) == (1, 0)
    (one,) = steps(acme, ticket)
    assert (one["step"], one["skipped"], one["late"]) == (1, [0], False)
    assert [tick(on(1, 10, 34, 59)), tick(on(1, 10, 35)), tick(on(1, 10, 44, 59)), tick(on(1, 10, 45))] == [0, 1, 0, 1]
    assert [one["step"] for one in steps(acme, ticket)] == [1, 2, 3]


@pytest.mark.parametrize(("impact", "late"), [(1, False), (2, True)], ids=["P1", "P2"])
def test_what_comes_too_late_wakes_nobody_but_for_the_most_urgent(acme: Desk, impact: int, late: bool) -> None:
    chain = policy(acme, ("0s", TEAM), max_lateness="30m")
    ticket = opened(acme, impact=impact, urgency=1)
    with at(1, 10):
        start(acme, ticket, chain)
    tick(on(1, 10, 31))
    (one,) = steps(acme, ticket)
    assert (one["late"], one["recipients"]) == (late, [str(acme.people["agent"].pk)])
    with acme.inside():
        event = Event.objects.get(kind="escalation.step_taken")
        assert list(paged(event)) == ([] if late else [acme.people["agent"].pk])


def test_acknowledging_stops_it_at_once_and_for_good(acme: Desk) -> None:
    """Pain 8."""
    chain = policy(acme, ("0s", TEAM), ("15m", MANAGERS))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    tick(on(1, 10))
    with acme.inside():
        paged_before = Event.objects.get(kind="escalation.step_taken")
        assert over(paged_before) == ""
    with at(1, 10, 14):
        acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk)
    assert [tick(on(day, 5, 30)) for day in (2, 3, 120)] == [0, 0, 0]
    run = run_of(acme, ticket)
    assert (run.state, run.acknowledged_by_id, run.ended_at) == ("acknowledged", acme.people["agent"].pk, on(1, 10, 14))
    assert story(acme, ticket) == ["started", "step_taken", "acknowledged"]
    with acme.inside():
        assert over(paged_before) == "acknowledged", "what has not left yet does not leave any more"
    with at(1, 10, 20):
        assert acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk) == [], "twice is once"
    assert story(acme, ticket) == ["started", "step_taken", "acknowledged"]


def test_a_step_that_was_claimed_before_the_acknowledgement_is_dropped_after_it(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    assert RUNS.sweep(on(1, 10)).fires == 1
    with at(1, 10, 1):
        acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk)
        assert STEPS.tell_all(now=on(1, 10, 1)) == 1
    assert (story(acme, ticket), fires(acme)) == (["started", "acknowledged"], [(1, 0, 0, "dropped")])


def test_an_acknowledgement_runs_out_while_the_ticket_is_open(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM), ("15m", MANAGERS), ack_timeout="1h")
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    tick(on(1, 10))
    with at(1, 10, 5):
        acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk)
    assert (tick(on(1, 11, 4, 59)), tick(on(1, 11, 5))) == (0, 1)
    assert tick(on(1, 11, 5)) == 1, "from the first step"
    assert told(acme, ticket) == [(0, 0, ["agent"]), (0, 0, ["agent"])]
    assert story(acme, ticket) == ["started", "step_taken", "acknowledged", "restarted", "step_taken"]
    assert fires(acme) == [(1, 0, 0, "taken"), (2, 0, -1, "restarted"), (3, 0, 0, "taken")]
    with at(1, 11, 6):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    assert (tick(on(1, 12, 6)), tick(on(1, 12, 6))) == (1, 0), "it waits with the ticket"
    assert run_of(acme, ticket).next_due_at == on(1, 13, 6)
    with at(1, 12, 30):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    assert tick(on(9, 0)) == 0
    assert run_of(acme, ticket).state == "cancelled"


def _take(desk: Desk, ticket: Ticket) -> None:
    take_incident(actor=desk.actor("agent"), ticket_id=ticket.pk)


def _start(desk: Desk, ticket: Ticket) -> None:
    start_incident(actor=desk.actor("agent"), ticket_id=ticket.pk)


def _hold(desk: Desk, ticket: Ticket) -> None:
    hold_incident(actor=desk.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_vendor")


@pytest.mark.parametrize(
    ("act", "reason"), [(_take, "taken"), (_start, "started"), (_hold, "held")], ids=["take", "start", "hold"]
)
def test_whoever_is_on_it_has_acknowledged(acme: Desk, act: Any, reason: str) -> None:
    chain = policy(acme, ("15m", TEAM))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
    with at(1, 10, 1):
        act(acme, ticket)
    run = run_of(acme, ticket)
    assert (run.state, run.acknowledged_by_id) == ("acknowledged", acme.people["agent"].pk)
    # Taking a new ticket starts it as well: one acknowledgement, for one of the two reasons.
    assert run.reason in {reason, "started"}
    assert tick(on(2, 0)) == 0
    assert story(acme, ticket) == ["started", "acknowledged"]


def test_being_assigned_by_somebody_else_is_no_promise(acme: Desk) -> None:
    chain = policy(acme, ("15m", TEAM))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
        assign_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, assignee_id=acme.people["agent"].pk)
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Hm", audience="internal")
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, title="Another title")
    assert (run_of(acme, ticket).state, tick(on(1, 10, 15))) == ("running", 1)


def _resolve(desk: Desk, ticket: Ticket) -> None:
    resolve_incident(actor=desk.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")


def _close(desk: Desk, ticket: Ticket) -> None:
    _resolve(desk, ticket)
    close_incident(actor=desk.actor("agent"), ticket_id=ticket.pk)


def _cancel(desk: Desk, ticket: Ticket) -> None:
    cancel_incident(actor=desk.actor("agent"), ticket_id=ticket.pk, reason="No")


def _merge(desk: Desk, ticket: Ticket) -> None:
    merge_incident(actor=desk.actor("agent"), ticket_id=ticket.pk, into_id=desk.incident().pk)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [(_resolve, "resolved"), (_close, "resolved"), (_cancel, "canceled"), (_merge, "merged")],
    ids=["resolve", "close", "cancel", "merge"],
)
def test_the_end_of_a_ticket_ends_its_runs(acme: Desk, finish: Any, reason: str) -> None:
    """Pain 12."""
    chain, other = policy(acme, ("15m", TEAM)), policy(acme, ("1h", MANAGERS), name="Other")
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
        start(acme, ticket, other)
    with at(1, 10, 1):
        finish(acme, ticket)
    with acme.inside():
        rows = EscalationRun.objects.filter(ticket_id=ticket.pk)
        assert {(row.state, row.reason, row.next_due_at) for row in rows} == {("cancelled", reason, None)}
    assert [tick(on(day, 0)) for day in (2, 3, 9)] == [0, 0, 0]
    assert story(acme, ticket) == ["started", "started", "cancelled", "cancelled"]


def test_a_policy_out_of_use_ends_its_runs(acme: Desk) -> None:
    chain = policy(acme, ("15m", TEAM))
    first, second = opened(acme), opened(acme)
    with at(1, 10):
        for ticket in (first, second):
            start(acme, ticket, chain)
        update_policy(actor=acme.actor("manager"), policy_id=chain.pk, active=False)
    assert tick(on(2, 0)) == 0
    run = run_of(acme, first)
    assert (run.state, run.reason, run.ended_at) == ("cancelled", "policy_inactive", on(1, 10))
    with acme.inside():
        event = Event.objects.get(kind="escalation.policy_changed")
        assert (event.payload["fields"], event.payload["cancelled"]) == (["is_active"], 2)
    with pytest.raises(Invalid) as caught, at(1, 11):
        start(acme, first, chain)
    assert caught.value.problems[0].code == "unknown_reference"


def test_a_new_version_is_for_the_next_run(acme: Desk) -> None:
    chain = policy(acme, ("15m", TEAM))
    ticket = opened(acme)
    with at(1, 10):
        start(acme, ticket, chain)
        terms = {"start_delay": "0s", "steps": [{"after": "5m", "do": [MANAGERS]}]}
        update_policy(actor=acme.actor("manager"), policy_id=chain.pk, terms=terms)
    assert (tick(on(1, 10, 14)), tick(on(1, 10, 15))) == (0, 1)
    assert told(acme, ticket) == [(0, 0, ["agent"])]


def test_starting_by_hand_says_why_not(acme: Desk) -> None:
    chain = policy(acme, ("15m", TEAM))
    ticket = opened(acme)
    run = start(acme, ticket, chain)
    assert run.started_by_id == acme.people["manager"].pk
    with pytest.raises(Invalid) as caught:
        start(acme, ticket, chain)
    assert caught.value.problems[0].code == "already_running"
    with pytest.raises(Forbidden):
        start_escalation(actor=acme.actor("requester"), ticket_id=acme.incident().pk, policy_id=chain.pk)
    with pytest.raises(Forbidden):
        acknowledge_escalation(actor=acme.actor("admin"), ticket_id=ticket.pk)
    with pytest.raises(NotFound):
        acknowledge_escalation(actor=acme.actor("agent"), ticket_id=ticket.pk, run_id=uuid4())
    with acme.inside():
        assert (EscalationRun.objects.count(), EscalationFire.objects.count()) == (1, 0)
    _resolve(acme, ticket)
    with pytest.raises(Invalid) as caught:
        start(acme, ticket, chain)
    assert caught.value.problems[0].code == "not_open"


def test_the_auditor_names_what_should_have_gone_on(acme: Desk, caplog: pytest.LogCaptureFixture) -> None:
    chain = policy(acme, ("0s", TEAM), ("1h", MANAGERS))
    ticket = opened(acme)
    with at(1, 10):
        run = start(acme, ticket, chain)
    with acme.inside():
        assert (overdue(on(1, 10, 1)), [one.pk for one in overdue(on(1, 10, 2))]) == ([], [run.pk])
    RUNS.sweep(on(1, 10, 2))
    with acme.inside():
        assert [one.pk for one in overdue(on(1, 10, 4))] == [run.pk], "claimed and not told"
    with at(1, 10, 4):
        assert audit_all() == 1
        STEPS.tell_all(now=clock.now())
        assert audit_all() == 0
    assert "an escalation is overdue and has not gone on" in caplog.text
    assert run_of(acme, ticket).next_due_at == on(1, 10, 4) + timedelta(hours=1), (
        "counted from when it was told: it came late"
    )


def test_a_run_that_cannot_be_claimed_is_parked_and_the_others_go_on(acme: Desk) -> None:
    chain = policy(acme, ("0s", TEAM))
    tickets = [opened(acme) for _ in range(3)]
    with at(1, 10):
        for ticket in tickets:
            start(acme, ticket, chain)
    with acme.inside():
        # Numbers of steps are small; this one is none, and no fire can be written for it.
        EscalationRun.objects.filter(ticket_id=tickets[1].pk).update(
            step_due=[None] * 40_000 + [on(1, 10)], speaking=[]
        )
    done = RUNS.sweep(on(1, 10))
    assert (done.clocks, done.failed) == (2, 1)
    run = run_of(acme, tickets[1])
    assert (run.attempts, run.next_due_at) == (1, on(1, 10, 0, 5))
    assert run.last_error.startswith("DataError")
