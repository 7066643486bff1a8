"""Telling steps that are due: do what it says, arm the next, write it down; one transaction under the ticket's lock."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from itsm.escalation.actions import Done, Performer
from itsm.escalation.models import EscalationFire, EscalationRun, RunState
from itsm.escalation.plan import LATE, arm, steps_of
from itsm.escalation.runs import FIELDS, cancel_run, end, wait_for
from itsm.escalation.steps import Step, Steps
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.sla.ledger import Ledger
from itsm.sla.models import SlaCalendar
from itsm.tenancy.context import tenant
from itsm.tenancy.models import TenantSettings
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import OPEN_CATEGORIES, StateCategory, Ticket

logger = logging.getLogger(__name__)

#: The step of an acknowledgement that ran out.
TIMEOUT = -1


def _tell(tenant_id: UUID, ticket_id: UUID) -> int:
    actor = Actor.system(tenant_id, "escalation")
    with tenant(tenant_id):
        lock_ticket(actor, ticket_id)
        fires = list(
            EscalationFire.objects.filter(ticket_id=ticket_id, handled_at__isnull=True).order_by(
                "fired_at", "due_at", "id"
            )
        )
        for fire in fires:
            fire.outcome = _take(actor, fire)
            fire.handled_at = clock.now()
            fire.save(update_fields=["outcome", "handled_at"])
    return len(fires)


STEPS = Ledger(EscalationFire, _tell, "step")


def _take(actor: Actor, fire: EscalationFire) -> str:
    """Do what became due, as long as the run still is where it was when it was claimed."""
    run = _locked(fire)
    if run is None:
        return "dropped"
    cause = Event.objects.get(pk=run.event_id)
    ticket: Ticket = Ticket.objects.get(pk=fire.ticket_id)
    if ticket.state_category not in OPEN_CATEGORIES:
        with unit_of_work(actor, cause=cause) as work:
            cancel_run(work, lock_ticket(actor, ticket.pk), run, ticket.state_category)
        return "dropped"
    steps = steps_of(actor.tenant_id, run.policy_version_id)
    if fire.step == TIMEOUT:
        return _ask_again(actor, run, steps, cause, ticket)
    return _step(actor, fire, run, steps, cause, ticket)


def _locked(fire: EscalationFire) -> EscalationRun | None:
    """The run, locked; None when it has been stopped or moved on since."""
    run: EscalationRun | None = EscalationRun.objects.select_for_update(no_key=True).filter(pk=fire.run_id).first()
    if run is None or run.ended_at is not None or (run.generation, run.loop) != (fire.generation, fire.loop):
        return None
    return run


def _ask_again(actor: Actor, run: EscalationRun, steps: Steps, cause: Event, ticket: Ticket) -> str:
    """An acknowledgement ran out: from the first step, unless the ticket waits for somebody else."""
    with unit_of_work(actor, cause=cause) as work:
        locked = lock_ticket(actor, ticket.pk)
        run.generation += 1
        if ticket.state_category == StateCategory.WAITING:
            wait_for(run, work.now + timedelta(seconds=steps.ack_timeout or 0))
            work.changed(run, *FIELDS)
            return "waits"
        run.state, run.loop, run.reason = RunState.RUNNING, 0, ""
        arm(run, steps, work.now)
        work.changed(run, *FIELDS)
        work.emit("escalation.restarted", locked, run=run.pk, policy=run.policy_id, generation=run.generation)
    return "restarted"


def _step(actor: Actor, fire: EscalationFire, run: EscalationRun, steps: Steps, cause: Event, ticket: Ticket) -> str:
    now = clock.now()
    exhausted = fire.step >= len(steps.steps)
    step, unmet = None, list[str]()
    number = fire.step
    if not exhausted:
        number, unmet = _first_met(fire, run, steps, ticket, now)
        step = steps.steps[number]
    late = now - fire.due_at > timedelta(seconds=steps.max_lateness) and ticket.priority != 1
    done = Done()
    if not unmet:
        todo = steps.on_exhausted if step is None else step.do
        done = Performer(actor, run, number, cause, now).perform(todo)
    still = _locked(fire)
    with unit_of_work(actor, cause=cause) as work:
        locked = lock_ticket(actor, ticket.pk)
        if still is not None:
            if exhausted:
                end(still, RunState.EXHAUSTED, work, "exhausted")
            else:
                _advance(still, steps, fire)
            work.changed(still, *FIELDS)
        work.emit(
            "escalation.step_taken",
            locked,
            run=run.pk,
            policy=run.policy_id,
            generation=fire.generation,
            loop=fire.loop,
            step=number,
            due_at=fire.due_at,
            fired_at=fire.fired_at,
            actions=done.actions,
            recipients=done.recipients,
            skipped=[one for one in (*fire.skipped, fire.step) if one != number],
            unmet=unmet,
            late=late,
            exhausted=exhausted,
        )
        if done.unanswered:
            logger.error("an escalation reached nobody who may read the ticket", extra={"ticket_id": str(ticket.pk)})
            work.emit(
                "escalation.unanswered",
                subject=ticket.pk,
                run=run.pk,
                policy=run.policy_id,
                step=fire.step,
                recipients=done.admins,
            )
    return "unmet" if unmet else "late" if late else "taken"


def _advance(run: EscalationRun, steps: Steps, fire: EscalationFire) -> None:
    """Arm what comes after the step. One that came late moves the rest, so that nobody is called four times at once."""
    now = clock.now()
    on_time = not fire.skipped and now - fire.due_at <= LATE
    anchor = fire.due_at if on_time else max(now, fire.fired_at)
    following = fire.step + 1
    if following >= len(steps.steps) and run.loop < steps.loops:
        run.loop, following = run.loop + 1, 0
        anchor += timedelta(seconds=steps.loop_gap)
    arm(run, steps, anchor, following)


def _first_met(
    fire: EscalationFire, run: EscalationRun, steps: Steps, ticket: Ticket, at: datetime
) -> tuple[int, list[str]]:
    """The step to take: the one that was claimed, or of those it overtook the last whose conditions hold."""
    for number in (fire.step, *reversed(fire.skipped)):
        if not _unmet(steps.steps[number], run, steps, ticket, at):
            return number, []
    return fire.step, _unmet(steps.steps[fire.step], run, steps, ticket, at)


def _unmet(step: Step, run: EscalationRun, steps: Steps, ticket: Ticket, at: datetime) -> list[str]:
    """The conditions of a step that do not hold."""
    unmet = []
    if step.unacknowledged and run.acknowledged_at is not None:
        unmet.append("unacknowledged")
    if step.priority_at_least is not None and ticket.priority > step.priority_at_least:
        unmet.append("priority_at_least")
    if step.within is not None and not step.within.holds(at, _zone(steps)):
        unmet.append("within")
    return unmet


def _zone(steps: Steps) -> ZoneInfo:
    """The zone of the team's hours where the policy has them, otherwise the desk's."""
    name: str | None = None
    if steps.within_calendar is not None:
        name = SlaCalendar.objects.filter(pk=steps.within_calendar).values_list("time_zone", flat=True).first()
    return ZoneInfo(name or TenantSettings.objects.values_list("time_zone", flat=True).first() or "UTC")
