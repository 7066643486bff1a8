"""Who works on a ticket: a team, a person, or both."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from itsm.access.catalogue import Role
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.models import Person, Team
from itsm.tickets.fetch import lock_ticket, refuse_closed, refuse_unknown
from itsm.tickets.models import Ticket


def assign_ticket(
    *,
    actor: Actor,
    ticket_id: UUID,
    team_id: UUID | None | Unset = UNSET,
    assignee_id: UUID | None | Unset = UNSET,
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Hand a ticket to a team, a person or both; None takes it away from them.

    The person must be an agent, and a member of the team when the team is restricted. When the team changes and its new
    members do not include the present assignee, the assignee is cleared.
    """
    with unit_of_work(actor, cause=cause) as work:
        ticket = lock_ticket(actor, ticket_id, permission="ticket.assign", expected_version=expected_version)
        refuse_closed(ticket, "assign")
        place(work, ticket, team_id=team_id, assignee_id=assignee_id)
    return ticket


def place(
    work: UnitOfWork,
    ticket: Ticket,
    *,
    team_id: UUID | None | Unset,
    assignee_id: UUID | None | Unset,
) -> bool:
    """Change team and assignee of a locked ticket within ``work``. Answers whether anything changed."""
    actor = work.actor
    new_team = ticket.team_id if team_id is UNSET else team_id
    new_assignee = ticket.assignee_id if assignee_id is UNSET else assignee_id
    if new_team is not None and new_team != ticket.team_id:
        if new_team in actor.hidden_teams:
            raise Invalid.one("team", "unknown_reference", "There is no active team with this id.")
        refuse_unknown(actor, team=(Team, new_team))
    moved = new_team is not None and new_team != ticket.team_id
    if moved and assignee_id is UNSET and new_assignee is not None and not is_member(actor, new_assignee, new_team):
        new_assignee = None
    if new_assignee is not None and (moved or new_assignee != ticket.assignee_id):
        check_assignee(actor, new_assignee, new_team, ticket.kind)
    if (new_team, new_assignee) == (ticket.team_id, ticket.assignee_id):
        return False
    work.guard("ticket.assign", ticket, {"team": new_team, "assignee": new_assignee})
    if ticket.team_id is not None and new_team is not None and new_team != ticket.team_id:
        ticket.reassignment_count += 1
    work.emit(
        "ticket.assigned",
        ticket,
        team=[ticket.team_id, new_team],
        assignee=[ticket.assignee_id, new_assignee],
    )
    ticket.team_id, ticket.assignee_id = new_team, new_assignee
    work.changed(ticket, "team", "assignee", "reassignment_count")
    return True


def check_assignee(actor: Actor, person_id: UUID, team_id: UUID | None, kind: str, *, field: str = "assignee") -> None:
    """Raise Invalid unless the person works on tickets of this kind now, as a member of the team when that is restricted.

    ``field`` is what the input is called.
    """
    refuse_unknown(actor, **{field: (Person, person_id)})
    grants = RoleGrant.objects.valid().filter(tenant_id=actor.tenant_id, person_id=person_id)
    of_process = Q(role__in=[Role.PROCESS_MANAGER, Role.PROCESS_OWNER], process=kind)
    if not grants.filter(Q(role=Role.AGENT) | of_process).exists():
        raise Invalid.one(field, "not_an_agent", "Tickets can be assigned to agents only, and led by agents only.")
    if team_id is not None and not is_member(actor, person_id, team_id):
        restricted = Team.objects.filter(tenant_id=actor.tenant_id, pk=team_id, is_restricted=True).exists()
        if restricted:
            raise Invalid.one(field, "not_a_member", "Only members of a restricted team can work on its tickets.")


def is_member(actor: Actor, person_id: UUID, team_id: UUID | None) -> bool:
    """Whether the person has a role in this very team now."""
    if team_id is None:
        return False
    return RoleGrant.objects.valid().filter(tenant_id=actor.tenant_id, person_id=person_id, team_id=team_id).exists()
