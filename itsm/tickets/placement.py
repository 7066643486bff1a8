"""Where a ticket is placed (its team and its assignee), and from whom that is kept.

A requester's own ticket may have gone to a restricted team: he goes on seeing the ticket, and neither the team nor its member.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from itsm.kernel.actor import Actor
from itsm.tickets.models import Ticket


def placement_hidden(actor: Actor, team_id: UUID | None) -> bool:
    """Whether team and assignee of a ticket in this team are told to the actor as if there were none."""
    return team_id in actor.hidden_teams


def told_placement(actor: Actor, tickets: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """Narrow tickets to those whose placement the actor is told: for filters, figures and files that would give it away."""
    return tickets.exclude(team_id__in=sorted(actor.hidden_teams)) if actor.hidden_teams else tickets
