"""Clocks follow their tickets, in the transaction of the change: what starts, pauses, stops and retargets them."""

from __future__ import annotations

import pytest

from incidents.commands import (
    cancel_incident,
    hold_incident,
    merge_incident,
    open_incident,
    reopen_incident,
    resolve_incident,
    resume_incident,
    start_incident,
)
from itsm.events.models import Event
from itsm.kernel.errors import IllegalTransition
from itsm.sla.models import SlaClock, SlaClockEvent, SlaPolicy
from itsm.tickets.commands import assign_ticket, comment_on_ticket, update_ticket
from itsm.tickets.commands.configuration import create_service
from tests.factories import Desk
from tests.sla.desk import HOUR, at, clocks, due_at, on, policy

pytestmark = pytest.mark.django_db


def test_a_new_ticket_gets_the_clocks_of_its_priority(acme: Desk) -> None:
    with at(1, 16):
        ticket = acme.incident(impact=2, urgency=2)
    found = clocks(acme, ticket)
    assert {metric: (row.state, row.promise, row.due_at) for metric, row in found.items()} == {
        "response": ("running", "2h", on(2, 10)),
        "resolution": ("running", "24h", on(4, 16)),
    }
    assert found["response"].step_due == [on(1, 17), on(2, 9, 30), on(2, 9, 48), on(2, 10)]
    assert (found["response"].next_due_at, due_at(acme, ticket)) == (on(1, 17), on(2, 10))
    assert ticket.due_at == on(2, 10), "the answer to the one who logs it says so, too"


def test_critical_work_runs_round_the_clock(acme: Desk) -> None:
    with at(6, 22):
        ticket = acme.incident(impact=1, urgency=1)
    assert {m: row.due_at for m, row in clocks(acme, ticket).items()} == {
        "response": on(6, 22, 15),
        "resolution": on(7, 2),
    }


def test_a_public_answer_stops_the_response_and_a_note_does_not(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 10, 30):
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="hm", audience="internal")
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="And?")
    assert clocks(acme, ticket)["response"].state == "running"
    with at(1, 11):
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="We look at it.")
    found = clocks(acme, ticket)
    assert (found["response"].state, found["response"].elapsed, found["response"].next_due_at) == ("met", HOUR, None)
    assert (found["resolution"].state, due_at(acme, ticket)) == ("running", found["resolution"].due_at)


def test_met_is_to_the_second_and_one_later_is_missed(acme: Desk) -> None:
    for second, verdict, breached in ((0, "met", None), (1, "missed", on(1, 10, 15))):
        with at(1, 10):
            ticket = acme.incident(impact=1, urgency=1)
        with at(1, 10, 15, second):
            start_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        row = clocks(acme, ticket)["response"]
        assert (row.state, row.breached_at, row.stopped_at) == (verdict, breached, on(1, 10, 15, second))


def test_waiting_for_the_caller_banks_and_goes_on(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 11):
        hold_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="Which one?"
        )
    row = clocks(acme, ticket)["resolution"]
    assert (row.state, row.elapsed, row.due_at, row.next_due_at, row.pause_reason) == (
        "paused",
        HOUR,
        None,
        None,
        "awaiting_caller",
    )
    assert due_at(acme, ticket) is None
    with at(2, 12):
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="The left one.")
    row = clocks(acme, ticket)["resolution"]
    assert (row.state, row.elapsed, row.due_at) == ("running", HOUR, on(5, 11)), "23 h of office time from Tuesday noon"


def test_waiting_for_our_own_problem_is_not_the_callers_delay(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident()
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_problem")
    assert clocks(acme, ticket)["resolution"].state == "running"


def test_another_reason_to_wait_is_asked_again(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident()
    with at(1, 11):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_problem")
    with at(1, 12):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    row = clocks(acme, ticket)["resolution"]
    assert (row.state, row.elapsed) == ("paused", 2 * HOUR)


def test_resolving_stops_and_reopening_goes_on_where_it_stopped(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident()
    with at(1, 11):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    found = clocks(acme, ticket)
    assert {m: row.state for m, row in found.items()} == {"response": "met", "resolution": "met"}
    with at(2, 10):
        reopen_incident(actor=acme.actor("requester"), ticket_id=ticket.pk, reason="No.")
    found = clocks(acme, ticket)
    assert (found["resolution"].state, found["resolution"].elapsed, found["resolution"].cycle) == ("running", HOUR, 1)
    assert found["response"].state == "met", "who was answered once stays answered"


def test_reopening_may_begin_a_new_cycle(acme: Desk) -> None:
    policy(acme, "Anew", "resolution", targets=[{"target": "4h"}], reopen="restart")
    with at(1, 10):
        ticket = acme.incident()
    with at(1, 11):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    with at(1, 12):
        reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="No.")
    with acme.inside():
        rows = SlaClock.objects.filter(ticket_id=ticket.pk, metric="resolution").order_by("cycle")
        assert [(row.cycle, row.state, row.due_at) for row in rows] == [(1, "met", None), (2, "running", on(1, 16))]


def test_canceled_and_merged_tickets_have_no_verdict(acme: Desk) -> None:
    with at(1, 10):
        canceled, merged, into = acme.incident(), acme.incident(), acme.incident()
        cancel_incident(actor=acme.actor("agent"), ticket_id=canceled.pk, reason="nothing")
        merge_incident(actor=acme.actor("agent"), ticket_id=merged.pk, into_id=into.pk)
    for ticket in (canceled, merged):
        assert {row.state for row in clocks(acme, ticket).values()} == {"canceled"}
        assert due_at(acme, ticket) is None
    assert {row.state for row in clocks(acme, into).values()} == {"running"}


def test_another_priority_is_another_promise_since_the_start(acme: Desk) -> None:
    """Pain 1: what was paused stays paused time."""
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 10):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 13):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, impact=2, urgency=1)
    row = clocks(acme, ticket)["resolution"]
    assert (row.promise, row.due_at, row.elapsed) == ("8h", on(2, 12), HOUR), "opened + 8 h + the 3 h of waiting"
    with acme.inside():
        told = Event.objects.get(kind="sla.retargeted", ticket_id=ticket.pk)
        assert told.payload["promise"] == ["24h", "8h"]
        assert told.payload["because"] == ["priority"] or "priority" in told.payload["because"]
        assert [e.operation for e in SlaClockEvent.objects.filter(clock_id=row.pk).order_by("generation")] == [
            "start", "pause", "resume", "retarget",
        ]  # fmt: skip


def test_a_ticket_that_no_policy_means_any_more_has_its_clock_canceled(acme: Desk) -> None:
    policy(acme, "Urgent only", "update", targets=[{"when": {"priority": [1, 2]}, "target": "1h"}])
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
        start_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="And?")
    assert clocks(acme, ticket)["update"].due_at == on(1, 10)
    with at(1, 9, 30):
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, impact=3, urgency=3)
    assert clocks(acme, ticket)["update"].state == "canceled"


def test_an_unanswered_message_starts_the_update_clock_and_a_second_does_not_push_it(acme: Desk) -> None:
    policy(acme, "Answer", "update", targets=[{"target": "2h"}])
    agent, caller = acme.actor("agent"), acme.actor("requester")
    with at(1, 9):
        ticket = acme.incident()
        comment_on_ticket(actor=caller, ticket_id=ticket.pk, body="First?")
    assert "update" not in clocks(acme, ticket), "the first answer is the response's"
    with at(1, 10):
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Hello.")
    with at(1, 11):
        comment_on_ticket(actor=caller, ticket_id=ticket.pk, body="And?")
    with at(1, 12):
        comment_on_ticket(actor=caller, ticket_id=ticket.pk, body="Hello?")
    assert clocks(acme, ticket)["update"].due_at == on(1, 13)
    with at(1, 12, 30):
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Soon.")
    assert (clocks(acme, ticket)["update"].state, clocks(acme, ticket)["update"].cycle) == ("met", 1)
    with at(1, 14):
        comment_on_ticket(actor=caller, ticket_id=ticket.pk, body="When?")
    assert (clocks(acme, ticket)["update"].due_at, clocks(acme, ticket)["update"].cycle) == (on(1, 16), 2)


def test_a_team_has_the_ticket_for_as_long_as_it_promised(acme: Desk) -> None:
    network, apps = acme.teams["network"].pk, acme.teams["apps"].pk
    policy(acme, "Network OLA", "ola", targets=[{"when": {"team": [str(network)]}, "target": "1h"}])
    with at(1, 9):
        ticket = acme.incident()
        assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=network)
    assert clocks(acme, ticket)["ola"].due_at == on(1, 10)
    with at(1, 9, 30):
        assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=apps)
    with at(1, 11):
        assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=network)
    with acme.inside():
        rows = SlaClock.objects.filter(ticket_id=ticket.pk, metric="ola").order_by("cycle")
        assert [(row.state, row.due_at, row.elapsed, row.team_id) for row in rows] == [
            ("met", None, HOUR // 2, network),
            ("running", on(1, 12), 0, network),
        ]


def test_the_next_team_s_promise_begins_where_the_first_one_s_ends(acme: Desk) -> None:
    policy(acme, "OLA of all teams", "ola", targets=[{"target": "1h"}])
    with at(1, 9):
        ticket = acme.incident()
        assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
    with at(1, 9, 30):
        assign_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, team_id=acme.teams["apps"].pk)
    with acme.inside():
        rows = SlaClock.objects.filter(ticket_id=ticket.pk, metric="ola").order_by("pk")
        assert [(row.state, row.team_id) for row in rows] == [
            ("met", acme.teams["network"].pk),
            ("running", acme.teams["apps"].pk),
        ]


def test_a_policy_that_comes_true_late_counts_from_the_beginning(acme: Desk) -> None:
    """Pain 13: set the service later, and the promise holds as if it had been known; what was waited is not counted."""
    with acme.inside():
        SlaPolicy.objects.update(is_active=False)
    service = create_service(actor=acme.system, name="Mail")
    policy(acme, "Mail", "resolution", targets=[{"when": {"service": [str(service.pk)]}, "target": "4h"}])
    agent = acme.actor("agent")
    with at(1, 9):
        ticket = acme.incident()
    assert clocks(acme, ticket) == {}
    with at(1, 10):
        hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 12):
        resume_incident(actor=agent, ticket_id=ticket.pk)
    with at(1, 13):
        update_ticket(actor=agent, ticket_id=ticket.pk, service_id=service.pk)
    row = clocks(acme, ticket)["resolution"]
    assert (row.started_at, row.elapsed, row.due_at) == (on(1, 9), HOUR, on(1, 15))


def test_what_is_refused_moves_no_clock(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident()
    before = {m: (row.generation, row.due_at) for m, row in clocks(acme, ticket).items()}
    with at(1, 10), pytest.raises(IllegalTransition):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    assert {m: (row.generation, row.due_at) for m, row in clocks(acme, ticket).items()} == before


def test_other_tenants_see_nothing_of_it(acme: Desk, globex: Desk) -> None:
    open_incident(actor=acme.actor("requester"), title="x")
    with globex.inside():
        assert (SlaClock.objects.count(), SlaClockEvent.objects.count()) == (0, 0)
