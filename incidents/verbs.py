"""Which verbs an actor may use on an incident now: the flow's answer and the permission table's, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from incidents.flow import FLOW, KIND, permission_of
from itsm.access.decide import allows
from itsm.kernel.actor import Actor
from itsm.tickets.models import OPEN_CATEGORIES

#: Verbs of the spine on a ticket that still changes, with their permissions.
_SPINE = {
    "assign": "ticket.assign",
    "update": "ticket.update",
    "comment": "ticket.comment",
    "comment_internal": "ticket.comment_internal",
    "attach": "ticket.attach",
    "watch": "ticket.watch",
    "link": "ticket.link",
    "parent": "ticket.link",
}
#: Everything that ``allowed_verbs()`` may answer.
ALL = (*FLOW.moves, "declare_major", *_SPINE, "follow_up")


@dataclass(slots=True)
class Row:
    """The few columns of a ticket that decide about verbs."""

    pk: Any
    requester_id: UUID | None
    assignee_id: UUID | None
    team_id: UUID | None
    state: int
    state_category: str
    #: Whether the actor watches it, looked up for the whole page; None: nobody has looked.
    watched: bool | None = None
    kind: str = KIND
    is_major: bool = False


def allowed_verbs(actor: Actor, ticket: Any) -> list[str]:
    """The verbs, in the order in which a page offers them. ``ticket`` is a Ticket or a Row that the actor can see.

    Taking is for people, and not for whom it belongs to already.
    """
    if ticket.state_category in {"closed", "canceled"}:
        return ["follow_up"] if allows(actor, "incident.reopen", ticket) else []
    found = [verb for verb in FLOW.allowed(ticket.state) if allows(actor, permission_of(verb), ticket)]
    if actor.person_id in (None, ticket.assignee_id) and "take" in found:
        found.remove("take")
    if (
        ticket.state_category in OPEN_CATEGORIES
        and not ticket.is_major
        and allows(actor, "incident.declare_major", ticket)
    ):
        found.append("declare_major")
    return found + [verb for verb, permission in _SPINE.items() if allows(actor, permission, ticket)]
