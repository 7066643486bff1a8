"""Explanations add up, to the microsecond, and can be replayed into the row; who waits for a ticket does not see them."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from incidents.commands import hold_incident, reopen_incident, resolve_incident, resume_incident
from itsm.kernel.errors import Forbidden
from itsm.sla.explain import explain, span_text
from itsm.sla.sweep import sweep
from itsm.tickets.commands import update_ticket
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.sla.desk import HOUR, at, on

pytestmark = pytest.mark.django_db


@pytest.fixture
def worked_on(acme: Desk) -> Ticket:
    """Opened Monday 9:00 as P3, waited 10–13 on Monday, became P2, was resolved on Tuesday at 10 and reopened at 11."""
    agent = acme.actor("agent")
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 10):
        hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 13):
        resume_incident(actor=agent, ticket_id=ticket.pk)
        update_ticket(actor=agent, ticket_id=ticket.pk, impact=2, urgency=1)
    with at(2, 10):
        resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")
    with at(2, 11):
        reopen_incident(actor=agent, ticket_id=ticket.pk, reason="no")
    return ticket


def test_the_intervals_add_up_to_what_the_clock_says(acme: Desk, worked_on: Ticket) -> None:
    with acme.inside():
        response, resolution = explain(acme.actor("agent"), worked_on, on(2, 12, 30, 7))
    assert (response.verdict, response.elapsed, response.percent) == ("met", HOUR, 50)
    assert [(i.kind, i.operation, i.reason, i.worked / HOUR, i.promise) for i in resolution.intervals] == [
        ("running", "start", "", 1, "24h"),
        ("paused", "pause", "awaiting_caller", 0, "24h"),
        ("running", "resume", "active", 0, "24h"),
        ("running", "retarget", "priority,urgency", 5, "8h"),
        ("stopped", "stop", "resolved", 0, "8h"),
        ("running", "reopen", "reopened", 1.5 + 7 / 3600, "8h"),
    ]
    assert sum(i.worked for i in resolution.intervals) == resolution.elapsed == 7 * HOUR + HOUR // 2 + 7_000_000
    assert (resolution.left, resolution.percent) == (HOUR // 2 - 7_000_000, 93)
    assert (resolution.intervals[0].begin, resolution.intervals[0].end) == (on(1, 9), on(1, 10))
    assert resolution.intervals[-1].end is None
    assert resolution.clock.due_at == on(2, 13)
    for before, after in zip(resolution.intervals, resolution.intervals[1:], strict=False):
        assert before.end == after.begin, "no gap and no overlap"


def test_thresholds_say_when_they_fired(acme: Desk, worked_on: Ticket) -> None:
    sweep(on(2, 12))
    with acme.inside():
        resolution = explain(acme.actor("agent"), worked_on, on(2, 12, 30))[-1]
    assert [(t.written, t.due_at, t.fired_at) for t in resolution.thresholds] == [
        ("50%", on(2, 11), on(2, 12)),
        ("75%", on(2, 11), on(2, 12)),
        ("90%", on(2, 12, 12), None),
        ("100%", on(2, 13), None),
    ]


def test_too_late_is_said_before_any_sweep_has_noticed(acme: Desk, worked_on: Ticket) -> None:
    with acme.inside():
        resolution = explain(acme.actor("agent"), worked_on, on(2, 13, 0, 1))[-1]
    assert (resolution.verdict, resolution.left, resolution.clock.breached_at) == ("breached", -1_000_000, None)


def test_who_waits_for_the_ticket_does_not_see_our_clocks(acme: Desk, worked_on: Ticket) -> None:
    with acme.inside(), pytest.raises(Forbidden):
        explain(acme.actor("requester"), worked_on)


def test_the_command_prints_it(acme: Desk, globex: Desk, worked_on: Ticket) -> None:
    out = StringIO()
    with at(2, 12, 30, 7):
        call_command("sla_explain", worked_on.number.lower(), "--tenant", "acme", stdout=out)
        text = out.getvalue()
        assert "resolution 8h: running, 7 h 30 min of 8 h 00 min used, 29 min left" in text
        assert "27007.000000 s" in text
        assert "paused" in text
        out = StringIO()
        call_command("sla_explain", worked_on.number, "--tenant", "acme", "--json", stdout=out)
    assert '"elapsed_seconds": 27007.0' in out.getvalue()
    with pytest.raises(CommandError, match="There is no ticket INC9999999"):
        call_command("sla_explain", "INC9999999")
    globex.incident()
    with pytest.raises(CommandError, match="several tenants"):
        call_command("sla_explain", worked_on.number)


def test_spans_are_read_by_people() -> None:
    assert [span_text(micros) for micros in (0, 59_000_000, 60_000_000, HOUR + 1, -90 * 60_000_000)] == [
        "0 s", "59 s", "1 min", "1 h 00 min", "-1 h 30 min",
    ]  # fmt: skip
