"""Declaring a major incident is another room's: it says here how, in config/wiring.py."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from itsm.events.models import Event
from itsm.kernel.actor import Actor

#: A command: (actor, ticket, the event that is the cause). Raises a DomainError when it refuses.
Declare = Callable[[Actor, UUID, Event], object]
_declare: list[Declare] = []


def register(declare: Declare) -> None:
    """Say what ``declare_major`` does. Without it, a step only asks for it, by the event ``escalation.major_requested``."""
    _declare[:] = [declare]


def declare(actor: Actor, ticket_id: UUID, cause: Event) -> bool:
    """Declare it; False when nobody has said how."""
    if not _declare:
        return False
    _declare[0](actor, ticket_id, cause)
    return True
