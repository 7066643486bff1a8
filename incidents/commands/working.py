"""Working on an incident: take, start, hold, resume."""

from __future__ import annotations

from uuid import UUID

from incidents.commands.base import begin, enter
from incidents.flow import FLOW, IncidentState
from incidents.models import HoldReason
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, Invalid
from itsm.kernel.unset import UNSET
from itsm.tenancy.models import Team
from itsm.tickets.commands.assignment import place
from itsm.tickets.commands.comments import comment_on_ticket
from itsm.tickets.models import Ticket


def take_incident(*, actor: Actor, ticket_id: UUID, expected_version: int | None = None) -> Ticket:
    """Make it mine, and start it when it is still new. Taking what is mine already changes nothing."""
    if actor.person_id is None:
        raise Forbidden("ticket.assign", "Only a person can take a ticket.")
    with unit_of_work(actor) as work:
        ticket, _, _ = begin(work, "take", ticket_id, expected_version)
        teams = Team.objects.filter(pk__in=actor.team_ids, is_active=True).values_list("pk", flat=True)[:2]
        team_id = teams[0] if ticket.team_id is None and len(teams) == 1 else UNSET
        place(work, ticket, team_id=team_id, assignee_id=actor.person_id)
        if ticket.state == IncidentState.NEW:
            pair = enter(work, ticket, FLOW.state(IncidentState.IN_PROGRESS))
            work.emit("incident.started", ticket, state=pair)
    return ticket


def start_incident(
    *, actor: Actor, ticket_id: UUID, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """New → In Progress."""
    with unit_of_work(actor, cause=cause) as work:
        ticket, _, target = begin(work, "start", ticket_id, expected_version)
        pair = enter(work, ticket, target)
        work.emit("incident.started", ticket, state=pair)
    return ticket


def hold_incident(
    *,
    actor: Actor,
    ticket_id: UUID,
    hold_reason: str,
    comment: str = "",
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Put on hold with a reason. Awaiting caller demands a public comment that says what is needed."""
    if hold_reason not in HoldReason.values:
        raise Invalid.one(
            "hold_reason", "unknown_reason", f"hold_reason must be one of {', '.join(HoldReason.values)}."
        )
    if hold_reason == HoldReason.CALLER and not comment.strip():
        raise Invalid.one("comment", "required", "Tell the requester what you need: awaiting_caller demands a comment.")
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "hold", ticket_id, expected_version, {"hold_reason": hold_reason})
        pair = enter(work, ticket, target)
        incident.hold_reason = hold_reason
        work.changed(incident, "hold_reason")
        held = work.emit("incident.held", ticket, state=pair, hold_reason=hold_reason)
        if comment.strip():
            work.flush()
            comment_on_ticket(actor=actor, ticket_id=ticket.pk, body=comment, cause=held)
            ticket.refresh_from_db()
    return ticket


def resume_incident(
    *, actor: Actor, ticket_id: UUID, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """On Hold → In Progress; the hold reason is cleared."""
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "resume", ticket_id, expected_version)
        pair = enter(work, ticket, target)
        was, incident.hold_reason = incident.hold_reason, ""
        work.changed(incident, "hold_reason")
        work.emit("incident.resumed", ticket, state=pair, hold_reason=was)
    return ticket
