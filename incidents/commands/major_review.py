"""Looking back at a major incident: what went well, what did not, why, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Max

from incidents.commands.major import led
from incidents.commands.major_people import may_command, refuse_strangers
from incidents.flow import KIND
from incidents.models import MajorAction, MajorIncident, MajorState
from itsm.access.decide import authorize
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Problems
from itsm.kernel.ids import new_id
from itsm.kernel.texts import BODY_MAX, clean_text
from itsm.tenancy.rows import read
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import Ticket

ACTIONS_MAX = 20
ACTION_MAX = 1000
#: So often people are reminded of a review that is overdue, and no more often.
REMINDED_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Action:
    """What shall be done, by whom, until when."""

    text: str
    owner_id: UUID
    due_on: date


def review_major(
    *,
    actor: Actor,
    ticket_id: UUID,
    went_well: str,
    went_badly: str,
    causes: str,
    actions: Sequence[Action] = (),
    expected_version: int | None = None,
) -> Ticket:
    """Write down the review, which ends the major incident. For its commander, and for managers and owners of the process.

    The incident may be closed by then. All three texts are mandatory; actions name a person and a day that is not past.
    """
    problems = Problems()
    texts = {
        name: clean_text(problems, name, text, limit=BODY_MAX, required=True)
        for name, text in (("went_well", went_well), ("went_badly", went_badly), ("causes", causes))
    }
    wanted = [clean_text(problems, "actions", one.text, limit=ACTION_MAX, required=True, line=True) for one in actions]
    if len(actions) > ACTIONS_MAX:
        problems.add("actions", "too_many", f"At most {ACTIONS_MAX} actions.", limit=ACTIONS_MAX)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id, kind=KIND)
        authorize(actor, _permission(actor, ticket), ticket)
        ticket, major = led(
            work,
            "review_major",
            ticket_id,
            permission=None,
            expected_version=expected_version,
            states=(MajorState.REVIEW_DUE,),
        )
        work.guard("incident.review_major", ticket, {"actions": len(actions)})
        # A day that has just ended here may still go on where the actor is.
        yesterday = (work.now - timedelta(days=1)).date()
        for one in actions:
            if one.due_on < yesterday:
                problems.add("actions", "in_the_past", f"{one.due_on} is in the past.")
        problems.raise_if_any()
        refuse_strangers(actor, ticket, [("actions", one.owner_id) for one in actions])
        first = MajorAction.objects.filter(ticket_id=ticket.pk).aggregate(last=Max("position"))["last"] or 0
        rows = [
            MajorAction(
                pk=new_id(),
                tenant_id=actor.tenant_id,
                ticket_id=ticket.pk,
                text=text,
                owner_id=one.owner_id,
                due_on=one.due_on,
                position=first + number,
                author_id=actor.person_id,
            )
            for number, (text, one) in enumerate(zip(wanted, actions, strict=True), start=1)
        ]
        work.add(*rows)
        major.state, major.reviewed_at = MajorState.REVIEWED, work.now
        work.changed(major, "state", "reviewed_at")
        work.emit(
            "incident.major_reviewed",
            ticket,
            actions=[[row.pk, row.owner_id, row.due_on.isoformat()] for row in rows],
            texts={**texts, "actions": "\n".join(wanted)},
        )
    return ticket


def remind_of_review(*, actor: Actor, ticket_id: UUID) -> bool:
    """Say that the review should have been written by now, to whoever commands. False when it is not so, or was just said."""
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id, permission="incident.update_major", kind=KIND)
        major = read(MajorIncident, actor.tenant_id, ticket.pk)
        if major is None or major.state != MajorState.REVIEW_DUE:
            return False
        due = major.review_due_at
        if due is None or due > work.now or reminded_since(ticket.pk, work.now - REMINDED_EVERY):
            return False
        commands = major.commander_id is not None and may_command(actor, ticket, major.commander_id)
        commander = major.commander_id if commands else None
        work.emit("incident.major_review_overdue", ticket, due_at=due, commander=commander)
    return True


def reminded_since(ticket_id: UUID, since: datetime) -> bool:
    """Whether people were reminded of this review after ``since``."""
    reminders = Event.objects.filter(ticket_id=ticket_id, kind="incident.major_review_overdue")
    return bool(reminders.filter(occurred_at__gt=since).exists())


def _permission(actor: Actor, ticket: Ticket) -> str:
    """Its commander may look back too, as long as he or she works on such tickets."""
    major = read(MajorIncident, actor.tenant_id, ticket.pk) if ticket.is_major else None
    commands = major is not None and actor.person_id is not None and major.commander_id == actor.person_id
    return "incident.update_major" if commands else "incident.review_major"
