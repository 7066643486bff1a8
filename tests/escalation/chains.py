"""Chains of calls in tests: a policy in few words, one round of the sweeper at a time, and what the ticket was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from itsm.escalation.commands import create_policy, start_escalation
from itsm.escalation.fires import STEPS
from itsm.escalation.models import EscalationFire, EscalationPolicy, EscalationRun
from itsm.escalation.provision import NAME
from itsm.escalation.sweep import RUNS
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.sla.fires import tell_all
from itsm.sla.sweep import sweep
from itsm.tickets.models import Ticket
from tests.factories import Desk

TEAM: dict[str, Any] = {"action": "notify_team"}
MANAGERS: dict[str, Any] = {"action": "notify_managers"}


def policy(desk: Desk, *steps: Any, name: str = "Chain", **terms: Any) -> EscalationPolicy:
    """A policy made by the manager, in place of the one that new tenants have. A step is (after, action, …) or JSON."""
    with desk.inside():
        EscalationPolicy.objects.filter(name=NAME).update(is_active=False)
    written = [step if isinstance(step, dict) else {"after": step[0], "do": list(step[1:])} for step in steps]
    terms = {"start_delay": "0s", "steps": written, **terms}
    return create_policy(actor=desk.actor("manager"), name=name, terms=terms)


def person(desk: Desk, name: str) -> dict[str, Any]:
    return {"action": "notify_person", "person": str(desk.people[name].pk)}


def start(desk: Desk, ticket: Ticket, policy: EscalationPolicy, by: str = "manager") -> EscalationRun:
    return start_escalation(actor=desk.actor(by), ticket_id=ticket.pk, policy_id=policy.pk)


def tick(now: datetime) -> int:
    """One round of the sweeper at ``now``; answers how many steps were claimed."""
    with clock.at(now):
        sweep(now)
        tell_all(now=now)
        done = RUNS.sweep(now)
        STEPS.tell_all(now=now)
    return done.fires


def run_of(desk: Desk, ticket: Ticket) -> EscalationRun:
    """The newest run of a ticket."""
    with desk.inside():
        found: EscalationRun = EscalationRun.objects.filter(ticket_id=ticket.pk).order_by("-started_at", "-pk")[0]
    return found


def story(desk: Desk, ticket: Ticket) -> list[str]:
    """What escalation told the ticket, in order, without the prefix."""
    with desk.inside():
        events = Event.objects.filter(ticket_id=ticket.pk, kind__startswith="escalation.").order_by("sequence")
        return [event.kind.removeprefix("escalation.") for event in events]


def steps(desk: Desk, ticket: Ticket) -> list[dict[str, Any]]:
    """The payloads of the steps that were taken, in order."""
    with desk.inside():
        events = Event.objects.filter(ticket_id=ticket.pk, kind="escalation.step_taken").order_by("sequence")
        return [event.payload for event in events]


def told(desk: Desk, ticket: Ticket) -> list[tuple[int, int, list[str]]]:
    """(pass, step, roles of whoever was told) of each step."""
    names = {str(one.pk): name for name, one in desk.people.items()}
    return [(one["loop"], one["step"], [names[p] for p in one["recipients"]]) for one in steps(desk, ticket)]


def fires(desk: Desk) -> list[tuple[int, int, int, str]]:
    with desk.inside():
        rows = EscalationFire.objects.order_by("id")
        return [(row.generation, row.loop, row.step, row.outcome) for row in rows]


def fill(desk: Desk) -> None:
    """A row of every table: a run with a step that was taken."""
    with desk.inside():
        standing = EscalationPolicy.objects.get(name=NAME)
    start(desk, desk.incident(), standing, by="agent")
    RUNS.sweep(clock.now() + timedelta(minutes=1))
    STEPS.tell_all()
