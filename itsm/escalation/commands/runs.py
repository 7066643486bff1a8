"""What people do to runs: start one, and say that they are on it."""

from __future__ import annotations

from uuid import UUID

from itsm.access.decide import authorize
from itsm.escalation.commands.policies import find_policy
from itsm.escalation.models import EscalationRun, RunState
from itsm.escalation.runs import acknowledge_run, begin_run, open_runs
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound
from itsm.kernel.ids import new_id
from itsm.tickets.fetch import lock_ticket, refuse_closed
from itsm.tickets.models import OPEN_CATEGORIES


def start_escalation(*, actor: Actor, ticket_id: UUID, policy_id: UUID) -> EscalationRun:
    """Start a policy for a ticket by hand. Raises Invalid when it runs already, is not in use, or the ticket is not open."""
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id, permission="escalation.start")
        refuse_closed(ticket, "escalate")
        if ticket.state_category not in OPEN_CATEGORIES:
            raise Invalid.one("ticket", "not_open", f"{ticket.number} is not open: there is nobody to call.")
        try:
            policy = find_policy(actor, policy_id)
        except NotFound:
            policy = None
        if policy is None or not policy.is_active:
            raise Invalid.one("policy", "unknown_reference", "There is no active escalation policy with this id.")
        run = begin_run(work, ticket, policy, key=f"hand:{new_id()}", trigger="hand")
        if run is None:
            raise Invalid.one("policy", "already_running", "This policy runs for this ticket already.")
    return run


def acknowledge_escalation(*, actor: Actor, ticket_id: UUID, run_id: UUID | None = None) -> list[EscalationRun]:
    """Somebody is on it: stop the running escalations of a ticket (or this one of them), in one transaction.

    What does not run any more stays as it is, so saying it twice is saying it once; of one that nobody had answered it is written
    down, when it is named. Answers the runs that it changed. Raises NotFound for a run that is not the ticket's.
    """
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id)
        named = EscalationRun.objects.select_for_update(no_key=True).filter(pk=run_id, ticket_id=ticket.pk).first()
        if run_id is not None and named is None:
            raise NotFound
        authorize(actor, "escalation.acknowledge", ticket)
        runs = [run for run in open_runs(ticket.pk) if run.state == RunState.RUNNING and run_id in (None, run.pk)]
        if named is not None and named.state == RunState.EXHAUSTED:
            runs = [named]
        for run in runs:
            acknowledge_run(work, ticket, run, "acknowledged")
    return runs
