"""What the log cannot see from below: tickets whose events are gone altogether."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import Exists, OuterRef

from itsm.events.models import Event
from itsm.tickets.models import Ticket

_CHUNK = 2000


def bare_tickets() -> Iterator[UUID]:
    """Tickets of the tenant in force that remember the end of a chain of which no event is there, read by a cursor."""
    bare = Ticket.objects.filter(~Exists(Event.objects.filter(ticket_id=OuterRef("pk"))), last_sequence__gt=0)
    return bare.values_list("pk", flat=True).iterator(_CHUNK)
