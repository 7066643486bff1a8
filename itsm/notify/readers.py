"""Who reads a message: the person as an actor, with the rights of now."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from itsm.access.actors import actor_of_person
from itsm.access.catalogue import Role
from itsm.kernel.actor import Actor, Grant

_REQUESTER = frozenset({Grant(Role.REQUESTER)})


def reader_of(tenant_id: UUID, person_id: UUID) -> Actor | None:
    """The person as whoever reads what is sent to him; None once he is inactive.

    Somebody without any role (a caller who was taken down by phone, imported or written by mail) is told what a requester
    is told: of tickets that are his own or that he watches, and of nothing else.
    """
    reader = actor_of_person(tenant_id, person_id)
    return reader if reader is None or reader.grants else replace(reader, grants=_REQUESTER)
