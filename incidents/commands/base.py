"""What every incident verb does first: fetch, lock, compare the version, authorise, ask the flow and the policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from incidents.flow import FLOW, KIND, permission_of
from incidents.models import Incident
from itsm.events.write import UnitOfWork
from itsm.tenancy.rows import read
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.flow import State
from itsm.tickets.models import Ticket


def begin(
    work: UnitOfWork,
    verb: str,
    ticket_id: UUID,
    expected_version: int | None,
    data: Mapping[str, Any] | None = None,
) -> tuple[Ticket, Incident, State]:
    """The locked ticket, its incident part, and the state that ``verb`` leads to.

    Whatever comes first of these is raised, and nothing of what the caller names is looked at before: NotFound (404),
    Forbidden (403), Conflict (412), IllegalTransition (409), PolicyViolation (422).
    """
    permission = permission_of(verb)
    ticket = lock_ticket(work.actor, ticket_id, permission=permission, expected_version=expected_version, kind=KIND)
    target = FLOW.move(verb, ticket.state)
    incident = read(Incident, work.actor.tenant_id, ticket.pk)
    if incident is None:
        raise Incident.DoesNotExist
    work.guard(f"incident.{verb}", ticket, data or {})
    return ticket, incident, target


def enter(work: UnitOfWork, ticket: Ticket, target: State) -> list[int]:
    """Put the ticket into ``target``; answers the pair [old, new] for the event."""
    pair = [ticket.state, target.code]
    ticket.state, ticket.state_category = target.code, target.category
    work.changed(ticket, "state", "state_category")
    return pair
