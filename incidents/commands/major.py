"""Declaring a major incident and standing it down; and what the end of the incident means to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from incidents.commands.major_people import (
    Cleaned,
    appoint,
    checked_commander,
    clean_people,
    may_command,
    stakeholders_of,
)
from incidents.flow import FLOW, KIND
from incidents.models import MajorIncident, MajorState
from itsm.escalation.runs import stop_runs_below
from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import IllegalTransition, Invalid, Problems
from itsm.kernel.texts import BODY_MAX, clean_text
from itsm.sla.days import business_days_after
from itsm.tenancy.rows import read
from itsm.tickets.commands import update_ticket
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import DeskSettings, Ticket

#: Why one was declared, where the reason alone does not say it.
CAUSES = ("by_hand", "escalation")
#: The state of an incident that is none.
NO_MAJOR = "not_major"


def declare_major(
    *,
    actor: Actor,
    ticket_id: UUID,
    reason: str,
    commander_id: UUID | None = None,
    roles: Mapping[str, UUID | None] | None = None,
    stakeholder_ids: Sequence[UUID] = (),
    raise_priority: bool = False,
    because: str = "by_hand",
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Lead an open incident as a major one: with a commander, people in roles, and news owed from now on.

    Without a commander it is the actor, or for automatic work the assignee, or nobody yet. ``raise_priority`` sets impact
    and urgency to high. Raises IllegalTransition for one that is led already or is not open.
    """
    problems = Problems()
    why = clean_text(problems, "reason", reason, limit=BODY_MAX, required=True)
    people = clean_people(problems, roles or {}, stakeholder_ids, ())
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket = lock_ticket(
            actor, ticket_id, permission="incident.declare_major", expected_version=expected_version, kind=KIND
        )
        _refuse_led(work, ticket)
        work.guard("incident.declare_major", ticket, {"raise_priority": raise_priority})
        commander = _commander(actor, ticket, commander_id)
        if raise_priority and (ticket.impact, ticket.urgency) != (1, 1):
            update_ticket(actor=actor, ticket_id=ticket.pk, impact=1, urgency=1, cause=cause)
            ticket.refresh_from_db()
        major = _row(work, ticket)
        major.state, major.commander_id = MajorState.DECLARED, commander
        major.declared_at, major.declared_by_id = work.now, actor.person_id
        major.ended_at = major.review_due_at = major.reviewed_at = None
        ticket.is_major = True
        work.changed(ticket, "is_major")
        work.emit("incident.major_declared", ticket, commander=commander, because=because, texts={"reason": why})
        appoint(work, ticket, people)
        stop_runs_below(work, ticket)
    return ticket


def stand_down_major(
    *, actor: Actor, ticket_id: UUID, reason: str, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """It was none after all: the incident goes on as any other, no news is owed and nothing is to be reviewed."""
    problems = Problems()
    why = clean_text(problems, "reason", reason, limit=BODY_MAX, required=True)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket, major = led(
            work,
            "stand_down_major",
            ticket_id,
            permission="incident.declare_major",
            expected_version=expected_version,
            states=(MajorState.DECLARED, MajorState.REVIEW_DUE),
        )
        work.guard("incident.stand_down_major", ticket, {})
        _end(work, ticket, major, "by_hand", reason=why)
    return ticket


def led(
    work: UnitOfWork,
    verb: str,
    ticket_id: UUID,
    *,
    permission: str | None,
    expected_version: int | None,
    states: Sequence[MajorState],
) -> tuple[Ticket, MajorIncident]:
    """The locked ticket and how it is led. Raises NotFound, Forbidden, Conflict, then IllegalTransition for another state."""
    ticket = lock_ticket(work.actor, ticket_id, permission=permission, expected_version=expected_version, kind=KIND)
    major = read(MajorIncident, work.actor.tenant_id, ticket.pk) if ticket.is_major else None
    if major is None:
        raise IllegalTransition(
            verb, NO_MAJOR, ["declare_major"], state_key=NO_MAJOR, detail=f"{ticket.number} is no major incident."
        )
    if major.state not in states:
        detail = f"{verb} is not possible for a major incident that is {major.state}."
        raise IllegalTransition(verb, major.state, [], state_key=major.state, detail=detail)
    return ticket, major


# --- What the verbs of the incident do to it ---------------------------------------------------------------------------


def resolved(work: UnitOfWork, ticket: Ticket) -> None:
    """The incident is solved: now people look back at it, within the business days that the desk gives them."""
    major = _of(work, ticket)
    days = DeskSettings.objects.values_list("major_review_days", flat=True).first() or 0
    due = business_days_after(work.actor.tenant_id, work.now, days) if days else work.now
    major.state, major.ended_at, major.review_due_at = MajorState.REVIEW_DUE, work.now, due
    work.changed(major, "state", "ended_at", "review_due_at")
    work.emit("incident.major_review_due", ticket, due_at=due)


def reopened(work: UnitOfWork, ticket: Ticket) -> None:
    """It was not over: it is led again, and news is owed again."""
    major = _of(work, ticket)
    major.state, major.ended_at, major.review_due_at, major.reviewed_at = MajorState.DECLARED, None, None, None
    work.changed(major, "state", "ended_at", "review_due_at", "reviewed_at")
    work.emit("incident.major_resumed", ticket)


def canceled(work: UnitOfWork, ticket: Ticket) -> None:
    """Without an incident there is no major one."""
    _end(work, ticket, _of(work, ticket), "canceled")


def refuse_merge(ticket: Ticket, target: Ticket) -> None:
    """Raise Invalid when a major incident would vanish in an ordinary one: nobody would be told any more."""
    if ticket.is_major and not target.is_major:
        raise Invalid.one(
            "into",
            "not_major",
            f"{ticket.number} is a major incident and {target.number} is none. Declare that one, or stand this one down.",
        )


def merged(work: UnitOfWork, ticket: Ticket, target: Ticket) -> None:
    """The other major incident goes on, and tells this one's stakeholders too."""
    if not ticket.is_major:
        return
    _end(work, ticket, _of(work, ticket), "merged", into=target.pk)
    appoint(work, target, Cleaned(add=tuple(stakeholders_of(ticket))))


def _end(
    work: UnitOfWork, ticket: Ticket, major: MajorIncident, because: str, *, reason: str = "", into: UUID | None = None
) -> None:
    major.state, major.ended_at, major.review_due_at = MajorState.STOOD_DOWN, work.now, None
    ticket.is_major = False
    work.changed(major, "state", "ended_at", "review_due_at")
    work.changed(ticket, "is_major")
    work.emit("incident.major_stood_down", ticket, because=because, into=into, texts={"reason": reason})


def _of(work: UnitOfWork, ticket: Ticket) -> MajorIncident:
    found = read(MajorIncident, work.actor.tenant_id, ticket.pk)
    if found is None:
        raise MajorIncident.DoesNotExist
    return found


def _row(work: UnitOfWork, ticket: Ticket) -> MajorIncident:
    """Its row: that of the first time, where it was stood down before."""
    found = read(MajorIncident, work.actor.tenant_id, ticket.pk)
    if found is None:
        found = MajorIncident(tenant_id=work.actor.tenant_id, ticket_id=ticket.pk)
        work.add(found)
    else:
        work.changed(
            found, "state", "commander", "declared_at", "declared_by", "ended_at", "review_due_at", "reviewed_at"
        )
    return found


def _commander(actor: Actor, ticket: Ticket, chosen: UUID | None) -> UUID | None:
    if chosen is not None:
        checked_commander(actor, ticket, chosen)
        return chosen
    candidates = (actor.person_id, ticket.assignee_id)
    return next((one for one in candidates if one is not None and may_command(actor, ticket, one)), None)


def _refuse_led(work: UnitOfWork, ticket: Ticket) -> None:
    if ticket.is_major:
        state = _of(work, ticket).state
        detail = f"{ticket.number} is a major incident already."
        raise IllegalTransition("declare_major", state, [], state_key=state, detail=detail)
    if not ticket.is_open:
        state_now = FLOW.state(ticket.state)
        detail = f"{ticket.number} is not open: only an open incident can be declared a major one."
        raise IllegalTransition("declare_major", state_now.name, [], state_key=state_now.key, detail=detail)


def declare(actor: Actor, ticket_id: UUID, cause: Event) -> object:
    """Escalation's way in (config/wiring.py). One that is led already stays as it is; others are refused as for people."""
    with unit_of_work(actor, cause=cause):
        ticket = lock_ticket(actor, ticket_id, kind=KIND)
        if ticket.is_major:
            return None
        return declare_major(
            actor=actor,
            ticket_id=ticket_id,
            reason="An escalation policy asked for it.",
            because="escalation",
            cause=cause,
        )
