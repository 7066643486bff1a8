"""Resolved incidents close by themselves after the tenant's number of days, counted from resolving and from nothing else."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from incidents.commands.closing import close_incident
from incidents.flow import KIND, IncidentState
from itsm.events.write import record_refusal
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Conflict, DomainError, IllegalTransition, NotFound
from itsm.tenancy.context import tenant
from itsm.tickets.models import DeskSettings, Ticket

logger = logging.getLogger(__name__)
BATCH = 500


def close_due(tenant_id: UUID) -> int:
    """Close the tenant's due incidents, one short transaction each; a refused one stays as it is and is recorded."""
    actor = Actor.system(tenant_id, "auto_close")
    with tenant(tenant_id):
        days = DeskSettings.objects.values_list("auto_close_days", flat=True).first()
        if not days:
            return 0
        due = list(
            Ticket.objects.filter(
                kind=KIND,
                state_category="done",
                state=IncidentState.RESOLVED,
                resolved_at__lte=clock.now() - timedelta(days=days),
            )
            .order_by("resolved_at")
            .values_list("pk", "version")[:BATCH]
        )
    closed = 0
    for ticket_id, version in due:
        try:
            # As it was when it was due: reopened and resolved again meanwhile, its days are counted anew.
            close_incident(actor=actor, ticket_id=ticket_id, expected_version=version)
            closed += 1
        except (Conflict, IllegalTransition, NotFound):
            continue  # Somebody was faster.
        except DomainError as error:
            logger.warning("auto-close refused: %s", error.code, extra={"ticket_id": str(ticket_id)})
            record_refusal(actor, error, "incident.close")
    return closed
