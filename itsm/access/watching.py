"""Who watches a ticket. Watching opens tickets, so rights ask for it; the rows belong to a room above.

That room's rows are connected by config/wiring.py, like everything that a lower room hears from a higher one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Manager, OuterRef, QuerySet

_watchers: Manager[Any] | None = None


def connect(watchers: Manager[Any]) -> None:
    """Take the rows that say who watches what. They have ``ticket_id`` and ``person_id``."""
    global _watchers
    _watchers = watchers


def watching(person_id: UUID, ticket_id: UUID | OuterRef) -> QuerySet[Any]:
    """The row by which the person watches the ticket, or none. RuntimeError before start-up: a right is never guessed."""
    if _watchers is None:
        raise RuntimeError("Nobody has said who watches tickets: config/wiring.py does, when Django is ready.")
    return _watchers.filter(ticket_id=ticket_id, person_id=person_id)
