"""Who is told: found at the moment of telling, and never nobody without saying so.

Each answer names who stood in for whom, and why: ``gap`` (nobody on call), ``left``, ``no_access``, ``empty`` (a team, a role).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from itsm.access.catalogue import Role
from itsm.access.models import RoleGrant
from itsm.escalation.steps import Action
from itsm.oncall.models import OnCallSchedule
from itsm.oncall.who import on_call
from itsm.tenancy.models import Person, Team
from itsm.tickets.models import Ticket

#: Levels of a schedule below the one that was asked for.
_DEEPER = 5


@dataclass(slots=True)
class Found:
    """Whom an action reaches. ``instead`` are the places that answered with nobody, in order, each with the reason."""

    people: list[UUID] = field(default_factory=list)
    #: What answered: ``person``, ``team``, ``on_call:2``, ``managers``, ``admins``; empty when nobody did.
    by: str = ""
    instead: list[dict[str, str]] = field(default_factory=list)
    #: Tenant admins: they run the desk and need not see the ticket.
    admins: bool = False


Asked = tuple[str, Callable[[], tuple[list[UUID], str]]]


def find(action: Action, ticket: Ticket, at: datetime) -> Found:
    """Whom a notifying action reaches now. Inside the tenant."""
    return _first(_places(action, ticket, at), ticket)


def stand_ins(ticket: Ticket) -> Found:
    """Whom to tell of something that could not be done."""
    return _first([("managers", lambda: _managers(ticket))], ticket)


def on_call_person(action: Action, ticket: Ticket, at: datetime) -> UUID | None:
    """The first person on call who may work on the ticket, from the action's level down; None for a gap."""
    for _, ask in _levels(action.ids["schedule"], int(action.values["level"]), at):
        able = desk_readers(ask()[0], ticket)
        if able:
            return able[0]
    return None


def _places(action: Action, ticket: Ticket, at: datetime) -> list[Asked]:
    """Where to ask, one after the other."""
    team = ("team", lambda: _team(ticket.team_id))
    managers = ("managers", lambda: _managers(ticket))
    if action.do == "notify_person":
        person = action.ids["person"]
        return [("person", lambda: _person(person)), team, managers]
    if action.do == "notify_team":
        named = action.ids.get("team")
        return [("team", lambda: _team(named or ticket.team_id)), managers]
    if action.do == "notify_on_call":
        schedule = action.ids["schedule"]
        own = ("schedule_team", lambda: _team(_team_of(schedule)))
        return [*_levels(schedule, int(action.values["level"]), at), team, own, managers]
    return [managers]


def _levels(schedule_id: UUID, level: int, at: datetime) -> list[Asked]:
    def asks(number: int) -> Asked:
        return f"on_call:{number}", lambda: ([person.pk for person in on_call(schedule_id, at, number)], "gap")

    return [asks(number) for number in range(level, level + _DEEPER)]


def _first(places: list[Asked], ticket: Ticket) -> Found:
    found = Found()
    for name, ask in places:
        people, why = ask()
        able = desk_readers(people, ticket)
        if able:
            found.people, found.by = able, name
            return found
        # Deeper levels that do not exist are no news.
        if not (name.startswith("on_call:") and found.instead and why == "gap" and not people):
            found.instead.append({"who": name, "why": "no_access" if people else why})
    found.people, found.admins = _admins(), True
    found.by = "admins" if found.people else ""
    return found


def _person(person_id: UUID) -> tuple[list[UUID], str]:
    there = Person.objects.filter(pk=person_id, is_active=True, erased_at__isnull=True).exists()
    return ([person_id], "") if there else ([], "left")


def _team(team_id: UUID | None) -> tuple[list[UUID], str]:
    if team_id is None or not Team.objects.filter(pk=team_id, is_active=True).exists():
        return [], "empty"
    return _holders(Q(team_id=team_id)), "empty"


def _team_of(schedule_id: UUID) -> UUID | None:
    found: UUID | None = OnCallSchedule.objects.filter(pk=schedule_id).values_list("team_id", flat=True).first()
    return found


def _managers(ticket: Ticket) -> tuple[list[UUID], str]:
    return _holders(Q(role=Role.PROCESS_MANAGER, process=ticket.kind)), "empty"


def _admins() -> list[UUID]:
    return _holders(Q(role=Role.TENANT_ADMIN))


def _holders(condition: Q) -> list[UUID]:
    """Active people with such a grant, by name."""
    grants = RoleGrant.objects.valid().filter(condition).values("person_id")
    people = Person.objects.filter(pk__in=grants, is_active=True, erased_at__isnull=True)
    return list(people.order_by("name", "pk").values_list("pk", flat=True))


def desk_readers(people: Iterable[UUID], ticket: Ticket) -> list[UUID]:
    """Those who are here and read the desk's side of the ticket: agents, and managers and owners of its process.

    The same as asking the permission table for each of them (``ticket.read_internal``), by one statement for all.
    """
    asked = list(dict.fromkeys(people))
    if not asked:
        return []
    of_process = Q(role__in=[Role.PROCESS_MANAGER, Role.PROCESS_OWNER], process=ticket.kind)
    grants = (
        RoleGrant.objects.valid()
        .filter(person_id__in=asked)
        .filter(Q(role__in=[Role.AGENT, Role.AUDITOR]) | of_process)
    )
    able = Person.objects.filter(pk__in=grants.values("person_id"), is_active=True, erased_at__isnull=True)
    if ticket.team_id is not None and Team.objects.filter(pk=ticket.team_id, is_restricted=True).exists():
        members = RoleGrant.objects.valid().filter(team_id=ticket.team_id).values("person_id")
        able = able.filter(pk__in=members)
    known = set(able.values_list("pk", flat=True))
    return [person for person in asked if person in known]
