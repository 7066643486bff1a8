"""Runs as rows: starting, acknowledging, ending. Always within a unit of work that holds the ticket's lock; runs come after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion, EscalationRun, RunState
from itsm.escalation.plan import arm, steps_of
from itsm.events.models import Event
from itsm.events.write import MAX_DEPTH, UnitOfWork, record_stop
from itsm.kernel.ids import new_id
from itsm.tickets.models import OPEN_CATEGORIES, Ticket

#: What acknowledging, ending and advancing may change in a row.
FIELDS = (
    "state", "generation", "loop", "last_step", "speaking", "step_due", "next_due_at", "acknowledged_at", "acknowledged_by",
    "ended_at", "reason", "attempts", "last_error",
)  # fmt: skip


def open_runs(ticket_id: UUID) -> list[EscalationRun]:
    """The runs of a ticket that have not ended, oldest first, locked."""
    runs = EscalationRun.objects.filter(ticket_id=ticket_id, ended_at__isnull=True).order_by("started_at", "pk")
    return list(runs.select_for_update(no_key=True))


def current_version(policy: EscalationPolicy) -> EscalationPolicyVersion | None:
    """The newest version of a policy."""
    versions: list[EscalationPolicyVersion] = list(
        EscalationPolicyVersion.objects.filter(policy_id=policy.pk).order_by("-version")[:1]
    )
    return versions[0] if versions else None


def begin_run(
    work: UnitOfWork,
    ticket: Ticket,
    policy: EscalationPolicy,
    *,
    key: str,
    trigger: str,
    metric: str = "",
    threshold: str = "",
) -> EscalationRun | None:
    """Start a policy for a locked ticket. None when it does not: it runs already, was started by this before, would go round,
    or the ticket is part of a major incident and nobody asks for it by hand.

    What it does begins ``start_delay`` from now.
    """
    version = current_version(policy)
    if version is None or not policy.is_active or ticket.state_category not in OPEN_CATEGORIES:
        return None
    if trigger != "hand" and below_a_major(ticket):
        return None
    known = EscalationRun.objects.filter(ticket_id=ticket.pk, policy_id=policy.pk)
    if known.filter(ended_at__isnull=True).exists() or known.filter(trigger_key=key).exists():
        return None
    if goes_round(work.cause, ticket, policy.pk):
        return None
    if work.cause is not None and work.depth + 2 > MAX_DEPTH:
        # Its steps would be cut off one by one; it is said once.
        record_stop(work, "itsm.escalation.runs.begin_run", work.cause)
        return None
    steps = steps_of(work.actor.tenant_id, version.pk)
    run = EscalationRun(
        pk=new_id(),
        tenant_id=work.actor.tenant_id,
        ticket_id=ticket.pk,
        policy_id=policy.pk,
        policy_version_id=version.pk,
        trigger_key=key,
        started_at=work.now,
        started_by_id=work.actor.person_id,
    )
    arm(run, steps, work.now + timedelta(seconds=steps.start_delay))
    event = work.emit(
        "escalation.started",
        ticket,
        run=run.pk,
        policy=policy.pk,
        policy_version=version.version,
        trigger=trigger,
        metric=metric,
        threshold=threshold,
    )
    run.event_id = event.pk
    work.add(run)
    return run


def below_a_major(ticket: Ticket) -> bool:
    """Whether the parent of a ticket is led as a major incident now."""
    if ticket.parent_id is None:
        return False
    return Ticket.objects.filter(pk=ticket.parent_id, is_major=True, state_category__in=OPEN_CATEGORIES).exists()


def goes_round(cause: Event | None, ticket: Ticket, policy_id: UUID) -> bool:
    """Whether the chain of causes already went through this policy for this ticket."""
    above = cause
    while above is not None:
        named = above.payload.get("policy")
        if above.kind == "escalation.started" and above.ticket_id == ticket.pk and named == str(policy_id):
            return True
        above = Event.objects.filter(pk=above.cause_id).first() if above.cause_id else None
    return False


def acknowledge_run(work: UnitOfWork, ticket: Ticket, run: EscalationRun, reason: str) -> None:
    """Somebody is on it: no step is taken any more. With a timeout, the run asks again when it is over."""
    steps = steps_of(work.actor.tenant_id, run.policy_version_id)
    run.state, run.reason = RunState.ACKNOWLEDGED, reason
    run.generation += 1
    run.acknowledged_at, run.acknowledged_by_id = work.now, work.actor.person_id
    # Whoever answers when it has ended is written down; it does not begin again by that.
    lasts = steps.ack_timeout is not None and run.ended_at is None
    until = work.now + timedelta(seconds=steps.ack_timeout or 0) if lasts else None
    wait_for(run, until)
    if until is None:
        run.ended_at = run.ended_at or work.now
    work.changed(run, *FIELDS)
    work.emit(
        "escalation.acknowledged",
        ticket,
        run=run.pk,
        policy=run.policy_id,
        generation=run.generation,
        reason=reason,
        until=until,
    )


def wait_for(run: EscalationRun, until: datetime | None) -> None:
    """Nothing but this instant is ahead of the run."""
    run.step_due = [] if until is None else [until]
    run.next_due_at = until


def cancel_run(work: UnitOfWork, ticket: Ticket, run: EscalationRun, reason: str) -> None:
    """The run is over, because its ticket is or because its policy is."""
    end(run, RunState.CANCELLED, work, reason)
    work.changed(run, *FIELDS)
    work.emit("escalation.cancelled", ticket, run=run.pk, policy=run.policy_id, reason=reason)


def end(run: EscalationRun, state: RunState, work: UnitOfWork, reason: str) -> None:
    """Put the end into the row."""
    run.state, run.reason, run.ended_at = state, reason, work.now
    run.step_due, run.next_due_at = [], None


def stop_runs_below(work: UnitOfWork, major: Ticket) -> None:
    """Cancel the open runs of the children of a locked ticket that is led as a major incident from now on."""
    busy = EscalationRun.objects.filter(ended_at__isnull=True).values("ticket_id")
    children = Ticket.objects.filter(parent_id=major.pk, pk__in=busy).order_by("pk")
    for child in children.select_for_update(no_key=True):
        for run in open_runs(child.pk):
            cancel_run(work, child, run, "major")


def clear_policy(work: UnitOfWork, policy: EscalationPolicy, reason: str) -> int:
    """End all open runs of a policy by one statement. It locks no ticket: the policy's own event tells it."""
    with transaction.atomic():
        return EscalationRun.objects.filter(policy_id=policy.pk, ended_at__isnull=True).update(
            state=RunState.CANCELLED, reason=reason, ended_at=work.now, step_due=[], next_due_at=None
        )
