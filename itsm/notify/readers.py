"""Who reads a message: the person as an actor, with the rights of now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from itsm.access.actors import actor_of_person
from itsm.access.catalogue import Role
from itsm.access.decide import visible_to
from itsm.escalation.people import desk_readers
from itsm.kernel.actor import Actor, Grant
from itsm.tickets.models import Ticket

_REQUESTER = frozenset({Grant(Role.REQUESTER)})


def reader_of(tenant_id: UUID, person_id: UUID) -> Actor | None:
    """The person as whoever reads what is sent to him; None once he is inactive.

    Somebody without any role (a caller who was taken down by phone, imported or written by mail) is told what a requester
    is told: of tickets that are his own or that he watches, and of nothing else.
    """
    reader = actor_of_person(tenant_id, person_id)
    return reader if reader is None or reader.grants else replace(reader, grants=_REQUESTER)


def out_of_reach(ticket: Ticket, people: Iterable[UUID]) -> dict[UUID, str]:
    """Who of them would not be told of the ticket as it is now, and why: ``inactive`` or ``no_right``, as in the ledger."""
    asked = list(dict.fromkeys(people))
    # Nearly everybody who is asked about works at the desk: they cost one statement, all others two each.
    rest = set(asked) - set(desk_readers(asked, ticket))
    found = {}
    for person_id in (one for one in asked if one in rest):
        reader = reader_of(UUID(str(ticket.tenant_id)), person_id)
        if reader is None:
            found[person_id] = "inactive"
        elif not visible_to(reader, Ticket.objects.filter(pk=ticket.pk)).exists():
            found[person_id] = "no_right"
    return found
