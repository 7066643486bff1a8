"""Who leads a major incident, who does what in it, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from incidents.flow import KIND
from incidents.models import MajorIncident, MajorRole, MajorStakeholder
from itsm.events.write import UnitOfWork
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.tenancy.models import Person
from itsm.tickets.commands.assignment import check_assignee, is_member
from itsm.tickets.models import Ticket

ROLE_MAX = 60
ROLES_MAX = 20
STAKEHOLDERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Cleaned:
    """People as a command takes them: roles by name (None takes the role away), stakeholders to add and to remove."""

    roles: Mapping[str, UUID | None] = field(default_factory=dict)
    add: Sequence[UUID] = ()
    remove: Sequence[UUID] = ()


def clean_people(
    problems: Problems, roles: Mapping[str, UUID | None], add: Sequence[UUID], remove: Sequence[UUID]
) -> Cleaned:
    """The people as they can be stored, as far as that can be said without looking anybody up."""
    clean: dict[str, UUID | None] = {}
    for name, person_id in roles.items():
        text = clean_text(problems, "roles", name, limit=ROLE_MAX, required=True, line=True)
        if text.casefold() in {known.casefold() for known in clean}:
            problems.add("roles", "taken", f"{text} is named twice.")
        clean[text] = person_id
    if len(clean) > ROLES_MAX:
        problems.add("roles", "too_many", f"At most {ROLES_MAX} roles.", limit=ROLES_MAX)
    if len(add) > STAKEHOLDERS_MAX:
        problems.add("stakeholders", "too_many", f"At most {STAKEHOLDERS_MAX} stakeholders.", limit=STAKEHOLDERS_MAX)
    return Cleaned(clean, tuple(dict.fromkeys(add)), tuple(dict.fromkeys(remove)))


def checked_commander(actor: Actor, ticket: Ticket, person_id: UUID) -> None:
    """Raise Invalid unless the person works on such tickets, as a member of the team when that is restricted."""
    check_assignee(actor, person_id, ticket.team_id, KIND, field="commander")


def may_command(actor: Actor, ticket: Ticket, person_id: UUID) -> bool:
    """The same as a question."""
    try:
        checked_commander(actor, ticket, person_id)
    except Invalid:
        return False
    return True


def change_commander(work: UnitOfWork, ticket: Ticket, major: MajorIncident, person_id: UUID | None) -> None:
    """Hand the lead over; None leaves it open."""
    if person_id == major.commander_id:
        return
    if person_id is not None:
        checked_commander(work.actor, ticket, person_id)
    work.emit("incident.major_role_changed", ticket, role="commander", person=[major.commander_id, person_id])
    major.commander_id = person_id
    work.changed(major, "commander")


def appoint(work: UnitOfWork, ticket: Ticket, people: Cleaned) -> None:
    """Give and take roles, add and remove stakeholders of a locked ticket; what is so already stays as it is."""
    tenant_id, actor = work.actor.tenant_id, work.actor
    named = [("roles", person) for person in people.roles.values()] + [("stakeholders", one) for one in people.add]
    refuse_strangers(actor, ticket, [(place, person) for place, person in named if person is not None])
    if people.roles:
        stored = {row.name.casefold(): row for row in MajorRole.objects.filter(ticket_id=ticket.pk)}
        if len({*stored, *(name.casefold() for name in people.roles)}) > ROLES_MAX:
            raise Invalid.one("roles", "too_many", f"At most {ROLES_MAX} roles.", limit=ROLES_MAX)
        for name, person_id in people.roles.items():
            _give(work, ticket, stored.get(name.casefold()), name, person_id)
    there = set(stakeholders_of(ticket)) if people.add or people.remove else set()
    gone = [one for one in people.remove if one in there]
    new = [one for one in people.add if one not in there]
    if len(there) - len(gone) + len(new) > STAKEHOLDERS_MAX:
        raise Invalid.one(
            "stakeholders", "too_many", f"At most {STAKEHOLDERS_MAX} stakeholders.", limit=STAKEHOLDERS_MAX
        )
    if gone:
        MajorStakeholder.objects.filter(ticket_id=ticket.pk, person_id__in=gone).delete()
    work.add(*(MajorStakeholder(tenant_id=tenant_id, ticket_id=ticket.pk, person_id=one) for one in new))
    for pair in (*((one, None) for one in gone), *((None, one) for one in new)):
        work.emit("incident.major_role_changed", ticket, role="stakeholder", person=list(pair))


def stakeholders_of(ticket: Ticket) -> list[UUID]:
    """The persons who hear the updates besides those who follow the ticket."""
    return list(MajorStakeholder.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True))


def refuse_strangers(actor: Actor, ticket: Ticket, named: Sequence[tuple[str, UUID]]) -> None:
    """Raise Invalid for people who are not there (any more), and for strangers to a restricted team's ticket."""
    wanted = {person for _, person in named}
    known = set(Person.objects.filter(pk__in=wanted, is_active=True).values_list("pk", flat=True)) if wanted else set()
    restricted = ticket.team is not None and ticket.team.is_restricted if wanted else False
    problems = Problems()
    for place, person in named:
        if person not in known:
            problems.add(place, "unknown_reference", "There is no active person with this id.")
        elif restricted and not is_member(actor, person, ticket.team_id):
            problems.add(place, "not_a_member", "Only members of a restricted team may have to do with its tickets.")
    problems.raise_if_any()


def _give(work: UnitOfWork, ticket: Ticket, row: MajorRole | None, name: str, person_id: UUID | None) -> None:
    before = row.person_id if row is not None else None
    if before == person_id:
        return
    if row is not None:
        row.delete()
    if person_id is not None:
        tenant_id, author = work.actor.tenant_id, work.actor.person_id
        work.add(MajorRole(tenant_id=tenant_id, ticket_id=ticket.pk, name=name, person_id=person_id, author_id=author))
    work.emit("incident.major_role_changed", ticket, role="role", person=[before, person_id], texts={"name": name})
