"""Leading a major incident: who does what, and the news that goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from incidents.commands.major import led
from incidents.commands.major_people import appoint, change_commander, clean_people, stakeholders_of
from incidents.flow import KIND
from incidents.models import MajorState
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import BODY_MAX, clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.models import Person
from itsm.tickets.commands import set_parent
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import Ticket, Watcher

#: Incidents that can be put below another one at once.
CHILDREN_MAX = 100

_LED = (MajorState.DECLARED, MajorState.REVIEW_DUE)


def change_major_roles(
    *,
    actor: Actor,
    ticket_id: UUID,
    commander_id: UUID | None | Unset = UNSET,
    roles: Mapping[str, UUID | None] | None = None,
    add_stakeholders: Sequence[UUID] = (),
    remove_stakeholders: Sequence[UUID] = (),
    expected_version: int | None = None,
) -> Ticket:
    """Change who leads, who has which role (by its name; None takes it away) and who hears the updates."""
    problems = Problems()
    people = clean_people(problems, roles or {}, add_stakeholders, remove_stakeholders)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        ticket, major = led(
            work,
            "change_major_roles",
            ticket_id,
            permission="incident.declare_major",
            expected_version=expected_version,
            states=_LED,
        )
        work.guard("incident.change_major_roles", ticket, {})
        if commander_id is not UNSET:
            change_commander(work, ticket, major, commander_id)
        appoint(work, ticket, people)
    return ticket


def attach_children(
    *, actor: Actor, ticket_id: UUID, child_ids: Sequence[UUID], expected_version: int | None = None
) -> Ticket:
    """Put several incidents below this one at once: all of them, or none when one cannot be."""
    with unit_of_work(actor):
        ticket = lock_ticket(actor, ticket_id, permission="ticket.link", expected_version=expected_version, kind=KIND)
        if len(child_ids) > CHILDREN_MAX:
            raise Invalid.one("children", "too_many", f"At most {CHILDREN_MAX} at once.", limit=CHILDREN_MAX)
        for child_id in dict.fromkeys(child_ids):
            try:
                set_parent(actor=actor, ticket_id=child_id, parent_id=ticket.pk)
            except Invalid as error:
                # Of this one; the field that it came from is another than that of one child.
                found = [replace(problem, pointer="/children") for problem in error.problems]
                raise Invalid(found, error.detail) from None
        ticket.refresh_from_db()
    return ticket


def send_major_update(
    *, actor: Actor, ticket_id: UUID, body: str, expected_version: int | None = None, cause: Event | None = None
) -> Ticket:
    """Tell everybody concerned how it stands: requester, watchers, requesters of children and stakeholders.

    The time until the next one begins anew. Like a comment it overwrites nothing,
    so ``expected_version`` may be None.
    """
    problems = Problems()
    text = clean_text(problems, "body", body, limit=BODY_MAX, required=True)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket, _ = led(
            work,
            "send_major_update",
            ticket_id,
            permission="incident.update_major",
            expected_version=expected_version,
            states=(MajorState.DECLARED,),
        )
        work.guard("incident.send_major_update", ticket, {})
        children = open_children(ticket)
        work.emit(
            "incident.major_update_sent",
            ticket,
            recipients=sorted(recipients(ticket, children.values())),
            children=sorted(children),
            texts={"body": text},
        )
    return ticket


def open_children(ticket: Ticket) -> dict[UUID, UUID | None]:
    """The children that have not ended, with their requesters."""
    children = Ticket.objects.filter(parent_id=ticket.pk).exclude(state_category__in=["closed", "canceled"])
    return dict(children.values_list("pk", "requester_id"))


def recipients(ticket: Ticket, requesters: Iterable[UUID | None]) -> set[UUID]:
    """Everybody who is told: once, however many reasons there are. ``requesters`` are those of its children."""
    found = {ticket.requester_id, *requesters, *stakeholders_of(ticket)}
    found |= set(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True))
    return set(
        Person.objects.filter(pk__in=[one for one in found if one is not None], is_active=True).values_list(
            "pk", flat=True
        )
    )
