"""The end of an incident: resolve, reopen, close, cancel."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from incidents.commands import major
from incidents.commands.base import begin, enter
from incidents.flow import FLOW
from incidents.models import CloseCode
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import IllegalTransition, Problems
from itsm.kernel.texts import BODY_MAX, clean_text
from itsm.tickets.models import DeskSettings, Ticket

#: Codes that only their own verb may set: merging, and the honest closure of a known defect.
_RESERVED = {CloseCode.DUPLICATE.value, CloseCode.UNRESOLVED_DEFECT.value}
RESOLUTION_CODES = tuple(code for code in CloseCode.values if code not in _RESERVED)


def resolve_incident(
    *,
    actor: Actor,
    ticket_id: UUID,
    close_code: str,
    close_notes: str,
    expected_version: int | None = None,
    cause: Event | None = None,
    words_of: UUID | None = None,
) -> Ticket:
    """State how it was solved: the code and the notes are both mandatory.

    ``words_of`` is the person whose notes the product repeats on a child; without it they are the actor's own.
    """
    problems = Problems()
    if close_code not in RESOLUTION_CODES:
        problems.add("close_code", "unknown_code", f"close_code must be one of {', '.join(RESOLUTION_CODES)}.")
    notes = clean_text(problems, "close_notes", close_notes, limit=BODY_MAX, required=True)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "resolve", ticket_id, expected_version, {"close_code": close_code})
        pair = enter(work, ticket, target)
        ticket.resolved_at = work.now
        incident.close_code, incident.close_notes = close_code, notes
        incident.resolved_by_id, incident.hold_reason = actor.person_id or words_of, ""
        work.changed(ticket, "resolved_at")
        work.changed(incident, "close_code", "close_notes", "resolved_by", "hold_reason")
        work.emit("incident.resolved", ticket, state=pair, close_code=close_code, texts={"close_notes": notes})
        if ticket.is_major:
            major.resolved(work, ticket)
    return ticket


def reopen_incident(
    *, actor: Actor, ticket_id: UUID, reason: str, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """Resolved → In Progress, within the tenant's window after resolving, with a reason."""
    problems = Problems()
    why = clean_text(problems, "reason", reason, limit=BODY_MAX, required=True)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "reopen", ticket_id, expected_version)
        days = DeskSettings.objects.values_list("reopen_days", flat=True).first() or 0
        if ticket.resolved_at is not None and work.now > ticket.resolved_at + timedelta(days=days):
            raise IllegalTransition(
                "reopen",
                FLOW.state(ticket.state).name,
                [verb for verb in FLOW.allowed(ticket.state) if verb != "reopen"],
                state_key=FLOW.state(ticket.state).key,
                detail=f"{ticket.number} was resolved more than {days} days ago. Open a new incident instead.",
            )
        pair = enter(work, ticket, target)
        ticket.resolved_at = None
        ticket.reopen_count += 1
        incident.last_reopened_at, incident.last_reopened_by_id = work.now, actor.person_id
        incident.close_code, incident.close_notes, incident.resolved_by_id = "", "", None
        work.changed(ticket, "resolved_at", "reopen_count")
        work.changed(incident, "last_reopened_at", "last_reopened_by", "close_code", "close_notes", "resolved_by")
        work.emit("incident.reopened", ticket, state=pair, texts={"reason": why})
        if ticket.is_major:
            major.reopened(work, ticket)
    return ticket


def close_incident(
    *, actor: Actor, ticket_id: UUID, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """Resolved → Closed, for good: a closed incident never reopens."""
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "close", ticket_id, expected_version)
        pair = enter(work, ticket, target)
        ticket.closed_at = work.now
        incident.closed_by_id = actor.person_id
        work.changed(ticket, "closed_at")
        work.changed(incident, "closed_by")
        work.emit("incident.closed", ticket, state=pair, close_code=incident.close_code)
    return ticket


def cancel_incident(
    *, actor: Actor, ticket_id: UUID, reason: str, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """Withdraw an incident that needs no work after all, with a reason."""
    problems = Problems()
    why = clean_text(problems, "reason", reason, limit=BODY_MAX, required=True)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket, incident, target = begin(work, "cancel", ticket_id, expected_version)
        pair = enter(work, ticket, target)
        ticket.closed_at = work.now
        incident.closed_by_id, incident.hold_reason = actor.person_id, ""
        work.changed(ticket, "closed_at")
        work.changed(incident, "closed_by", "hold_reason")
        work.emit("incident.canceled", ticket, state=pair, texts={"reason": why})
        if ticket.is_major:
            major.canceled(work, ticket)
    return ticket
