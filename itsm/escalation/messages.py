"""What notifications ask of escalation: whom a step tells, whether it still matters when it leaves, and what its link does."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from itsm.escalation.commands import acknowledge_escalation
from itsm.escalation.models import EscalationRun, RunState
from itsm.events.models import Event
from itsm.kernel.actor import Actor

#: The events that tell people something.
STEP, UNANSWERED = "escalation.step_taken", "escalation.unanswered"


def paged(event: Event) -> Iterable[UUID]:
    """Whom a step tells at once."""
    return [] if event.payload.get("late") else _recipients(event)


def digested(event: Event) -> Iterable[UUID]:
    """Whom a step tells that came too late to wake anybody."""
    return _recipients(event) if event.payload.get("late") else []


def admins(event: Event) -> Iterable[UUID]:
    """Whom to tell that nobody could be told."""
    return _recipients(event)


def over(event: Event) -> str:
    """Why a step does not matter any more: ``acknowledged``, ``over``; "" while it does. Asked when a message leaves."""
    run = EscalationRun.objects.filter(pk=event.payload.get("run")).first()
    if run is None:
        return "over"
    if run.state in (RunState.RUNNING, RunState.EXHAUSTED) and run.generation == event.payload.get("generation"):
        return ""
    return "acknowledged" if run.acknowledged_at is not None and run.state != RunState.CANCELLED else "over"


def acknowledge(actor: Actor, event: Event) -> None:
    """What the link in a message does, as the person who was told."""
    if event.ticket_id is not None:
        acknowledge_escalation(actor=actor, ticket_id=event.ticket_id, run_id=UUID(str(event.payload["run"])))


def _recipients(event: Event) -> list[UUID]:
    return [UUID(str(person)) for person in event.payload.get("recipients", ())]
