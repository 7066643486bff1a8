"""Runs follow their tickets: the bookkeeper that stops them in the transaction in which somebody takes or ends a ticket.

Nor does a ticket ask for people by itself while it is part of a major incident: who leads that leads it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itsm.access.decide import allows
from itsm.escalation.models import RunState
from itsm.escalation.runs import acknowledge_run, below_a_major, cancel_run, open_runs
from itsm.events.models import Event
from itsm.events.write import UnitOfWork
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import OPEN_CATEGORIES, StateCategory, Ticket


def follow(work: UnitOfWork, ticket: Ticket, events: Sequence[Event]) -> None:
    """Stop the ticket's runs when these events of its own end it, put it below a major incident, or show who is on it."""
    known = KINDS.get(ticket.kind)
    if known is None:
        return
    ended = taken = ""
    for event in events:
        pair = event.payload.get("state")
        if isinstance(pair, list) and len(pair) == 2:
            if pair[0] is None:
                return  # It has just been opened: nothing runs.
            state = known.flow.states.get(pair[1])
            category = state.category if state is not None else None
            if category is not None and category not in OPEN_CATEGORIES:
                ended = event.kind.rpartition(".")[2]
            elif event.actor_id is not None and category in (StateCategory.ACTIVE, StateCategory.WAITING):
                # Not a reply of the requester, and not a reopening: nobody has promised anything by those.
                taken = event.kind.rpartition(".")[2] if _works(work, ticket, event) else taken
        elif event.kind == "ticket.updated" and "parent" in event.payload.get("changes", {}):
            ended = "major" if below_a_major(ticket) else ended
        elif event.kind == "ticket.assigned" and event.actor_id is not None:
            pair = event.payload.get("assignee")
            if isinstance(pair, list) and pair[0] != pair[1] and pair[1] == str(event.actor_id):
                taken = "taken"
    if ended:
        for run in open_runs(ticket.pk):
            cancel_run(work, ticket, run, ended)
    elif taken:
        for run in open_runs(ticket.pk):
            if run.state == RunState.RUNNING:
                acknowledge_run(work, ticket, run, taken)


def _works(work: UnitOfWork, ticket: Any, event: Event) -> bool:
    return not event.kind.endswith(".reopened") and allows(work.actor, "ticket.read_internal", ticket)
