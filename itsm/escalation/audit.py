"""The auditor: runs that should have gone on and have not, whatever the reason. It asks the rows, not the sweep."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from itsm.escalation.models import EscalationFire, EscalationRun
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.sla.audit import Figures, figures, of_seen_tickets
from itsm.sla.sweep import ALARM_AFTER
from itsm.tenancy.context import tenant
from itsm.tenancy.sweep import all_tenants, for_each_tenant

logger = logging.getLogger(__name__)

#: A healthy sweep is far faster; slower means that it does not run, or not for this run.
LATE = timedelta(seconds=60)


def overdue(now: datetime | None = None) -> list[EscalationRun]:
    """Runs of the tenant in force with a step that is overdue, claimed and not told, or that cannot be claimed."""
    late = (now or clock.now()) - LATE
    untold = EscalationFire.objects.filter(
        tenant_id=OuterRef("tenant_id"), run_id=OuterRef("pk"), handled_at__isnull=True, fired_at__lt=late
    )
    wrong = Q(next_due_at__lt=late) | Q(attempts__gte=ALARM_AFTER) | Exists(untold)
    found = EscalationRun.objects.filter(ended_at__isnull=True).filter(wrong)
    return list(found.select_related("ticket", "policy").order_by("started_at")[:100])


def alarming(actor: Actor) -> list[EscalationRun]:
    """Those of overdue() whose tickets the actor sees."""
    return of_seen_tickets(actor, overdue())


def escalation_figures() -> Figures:
    """Of runs, now, over all tenants."""
    return figures("itsm_escalation_figures")


def audit_all() -> int:
    """Name every such run in the log, for the operator. Answers how many there are."""
    return for_each_tenant("audit of escalations", all_tenants(), _audit)


def _audit(tenant_id: UUID) -> int:
    with tenant(tenant_id):
        found = overdue()
    for run in found:
        logger.error(
            "an escalation is overdue and has not gone on",
            extra={"tenant_id": str(tenant_id), "run_id": str(run.pk), "ticket_id": str(run.ticket_id)},
        )
    return len(found)
