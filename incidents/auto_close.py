"""Resolved incidents close by themselves after the tenant's number of days, counted from resolving and from nothing else."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.db.models import Q

from incidents.commands.closing import close_incident
from incidents.flow import KIND, IncidentState
from itsm.events.models import Event
from itsm.events.write import record_refusal
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Conflict, DomainError, IllegalTransition, NotFound
from itsm.tenancy.context import tenant
from itsm.tickets.models import DeskSettings, Ticket

logger = logging.getLogger(__name__)
BATCH = 500


def close_due(tenant_id: UUID) -> int:
    """Close the tenant's due incidents, one short transaction each.

    A refused one stays as it is, which is recorded once for as long as nobody changes it. Answers how many were closed.
    """
    actor = Actor.system(tenant_id, "auto_close")
    with tenant(tenant_id):
        days = DeskSettings.objects.values_list("auto_close_days", flat=True).first()
    if not days:
        return 0
    before, closed = clock.now() - timedelta(days=days), 0
    after: tuple[datetime, UUID] | None = None
    # Page by page, because refused ones stay due: a first page full of them must not hide the rest.
    while due := _due(tenant_id, before, after):
        closed += sum(_close(actor, ticket) for ticket in due)
        after = (cast(datetime, due[-1].resolved_at), due[-1].pk)
    return closed


def _due(tenant_id: UUID, before: datetime, after: tuple[datetime, UUID] | None) -> list[Ticket]:
    with tenant(tenant_id):
        resolved = Ticket.objects.filter(
            kind=KIND, state_category="done", state=IncidentState.RESOLVED, resolved_at__lte=before
        )
        if after is not None:
            later = Q(resolved_at__gt=after[0]) | Q(resolved_at=after[0], pk__gt=after[1])
            resolved = resolved.filter(later, resolved_at__gte=after[0])
        return list(resolved.order_by("resolved_at", "pk")[:BATCH])


def _close(actor: Actor, ticket: Ticket) -> bool:
    try:
        # As it was when it was due: reopened and resolved again meanwhile, its days are counted anew.
        close_incident(actor=actor, ticket_id=ticket.pk, expected_version=ticket.version)
    except (Conflict, IllegalTransition, NotFound):
        return False  # Somebody was faster.
    except DomainError as error:
        logger.warning("auto-close refused: %s", error.code, extra={"ticket_id": str(ticket.pk)})
        with tenant(actor.tenant_id):
            refused = Event.objects.filter(
                kind="access.refused", actor_label=actor.name, payload__subject=str(ticket.pk)
            )
            known = refused.filter(occurred_at__gte=ticket.updated_at).exists()
        if not known:
            error.context.setdefault("ticket", str(ticket.pk))
            record_refusal(actor, error, "incident.close")
        return False
    return True
