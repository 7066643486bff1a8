"""What a step does. Changes go through the ordinary commands with the run as their cause; each says what became of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from itsm.escalation import majors
from itsm.escalation.models import EscalationPolicy, EscalationRun
from itsm.escalation.people import Found, find, on_call_person, stand_ins
from itsm.escalation.runs import begin_run
from itsm.escalation.steps import NOTIFYING, Action
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tickets.commands import assign_ticket, comment_on_ticket, update_ticket
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import Audience, Ticket
from itsm.tickets.priority import LEVELS, priority_of

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Done:
    """What the actions of a step came to: each with its outcome, and whom the step tells. ``admins`` are told apart."""

    actions: list[dict[str, Any]] = field(default_factory=list)
    recipients: list[UUID] = field(default_factory=list)
    admins: list[UUID] = field(default_factory=list)
    #: Somebody was to be told, and there was nobody.
    unanswered: bool = False

    def told(self, found: Found) -> dict[str, Any]:
        """Note whom a notifying action reached; answers it for the event."""
        into = self.admins if found.admins else self.recipients
        into.extend(person for person in found.people if person not in into)
        self.unanswered |= found.admins
        outcome = "told" if found.people else "nobody"
        told: dict[str, Any] = {"outcome": outcome, "by": found.by, "people": list(found.people)}
        return {**told, "instead": found.instead} if found.instead else told


class Performer:
    """Does the actions of one step of a run. Inside the tenant, with the ticket locked by the caller."""

    def __init__(self, actor: Actor, run: EscalationRun, step: int, cause: Event, at: datetime) -> None:
        self.actor, self.run, self.step, self.cause, self.at = actor, run, step, cause, at

    def perform(self, actions: tuple[Action, ...]) -> Done:
        """All of them, in order. One that is refused stops no other, and its managers are told of it."""
        done = Done()
        for action in actions:
            ticket = Ticket.objects.get(pk=self.run.ticket_id)
            if action.do in NOTIFYING:
                result = done.told(find(action, ticket, self.at))
            else:
                result = self._change(action, ticket)
                if result["outcome"] == "refused":
                    result |= {"told": done.told(stand_ins(ticket))}
            done.actions.append({"action": action.do, **result})
        return done

    def _change(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        try:
            return _CHANGES[action.do](self, action, ticket)
        except DomainError as error:
            problems = getattr(error, "problems", ())
            code = problems[0].code if problems else error.code
            logger.warning("%s of an escalation was refused: %s", action.do, code, extra={"ticket_id": str(ticket.pk)})
            return {"outcome": "refused", "code": code}

    def _reassign(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if "team" in action.ids:
            given["team_id"] = action.ids["team"]
        else:
            person = action.ids.get("person") or on_call_person(action, ticket, self.at)
            if person is None:
                return {"outcome": "refused", "code": "gap"}
            given["assignee_id"] = person
        before = (ticket.team_id, ticket.assignee_id)
        after = assign_ticket(actor=self.actor, ticket_id=ticket.pk, cause=self.cause, **given)
        changed = (after.team_id, after.assignee_id) != before
        return {"outcome": "done" if changed else "unchanged", "team": after.team_id, "assignee": after.assignee_id}

    def _raise_priority(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        wanted = max(ticket.priority - action.values["by"], action.values["cap"])
        cell = _cell(self.actor.tenant_id, ticket, wanted)
        if cell is None:
            return {"outcome": "unchanged", "priority": ticket.priority}
        impact, urgency = cell
        after = update_ticket(actor=self.actor, ticket_id=ticket.pk, impact=impact, urgency=urgency, cause=self.cause)
        return {"outcome": "done", "priority": after.priority}

    def _declare_major(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        if majors.declare(self.actor, ticket.pk, self.cause):
            return {"outcome": "done"}
        with unit_of_work(self.actor, cause=self.cause) as work:
            locked = lock_ticket(self.actor, ticket.pk)
            work.emit("escalation.major_requested", locked, run=self.run.pk, policy=self.run.policy_id, step=self.step)
        return {"outcome": "requested"}

    def _webhook(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        with unit_of_work(self.actor, cause=self.cause) as work:
            work.emit(
                "escalation.webhook",
                lock_ticket(self.actor, ticket.pk),
                run=self.run.pk,
                policy=self.run.policy_id,
                step=self.step,
                hook=action.values["name"],
            )
        return {"outcome": "done", "hook": action.values["name"]}

    def _comment(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        comment_on_ticket(
            actor=self.actor,
            ticket_id=ticket.pk,
            body=action.values["text"],
            audience=Audience.INTERNAL,
            cause=self.cause,
        )
        return {"outcome": "done"}

    def _start_policy(self, action: Action, ticket: Ticket) -> dict[str, Any]:
        policy_id = action.ids["policy"]
        key = f"policy:{self.run.pk}:{self.run.generation}:{self.run.loop}:{self.step}"
        with unit_of_work(self.actor, cause=self.cause) as work:
            locked = lock_ticket(self.actor, ticket.pk)
            policy = EscalationPolicy.objects.filter(pk=policy_id).first()
            started = None if policy is None else begin_run(work, locked, policy, key=key, trigger="policy")
        return {"outcome": "done" if started else "unchanged", "policy": policy_id}


def _cell(tenant_id: UUID, ticket: Ticket, wanted: int) -> tuple[int, int] | None:
    """The impact and urgency, not lower than now, whose priority comes nearest to ``wanted`` without going beyond it.

    Of several, the one that changes least, urgency before impact. None when there is none better than now.
    """
    best: tuple[int, int, int] | None = None
    for impact in LEVELS[: ticket.impact]:
        for urgency in LEVELS[: ticket.urgency]:
            priority = priority_of(tenant_id, impact, urgency)
            if wanted <= priority < ticket.priority:
                rank = (priority, ticket.impact - impact, ticket.urgency - urgency)
                best = rank if best is None else min(best, rank)
    return None if best is None else (ticket.impact - best[1], ticket.urgency - best[2])


_CHANGES = {
    "reassign": Performer._reassign,
    "raise_priority": Performer._raise_priority,
    "declare_major": Performer._declare_major,
    "webhook": Performer._webhook,
    "comment": Performer._comment,
    "start_policy": Performer._start_policy,
}
