"""The auditor: clocks that should have fired and have not, whatever the reason. It asks the rows, not the sweep."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Q

from itsm.access.decide import visible_to
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.sla.models import SlaClock
from itsm.sla.sweep import ALARM_AFTER
from itsm.tenancy.context import tenant
from itsm.tenancy.sweep import all_tenants, for_each_tenant
from itsm.tickets.models import Ticket

logger = logging.getLogger(__name__)


class OfTicket(Protocol):
    """A row that belongs to a ticket."""

    @property
    def ticket_id(self) -> Any: ...


R = TypeVar("R", bound=OfTicket)

#: A healthy sweep is far faster; slower means that it does not run, or not for this clock.
LATE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of something that is swept, over all tenants: the oldest that is due, fires that nobody was told, what cannot be fired."""

    due_since: datetime | None
    untold: int
    untold_since: datetime | None
    parked: int


def sla_figures() -> Figures:
    """Of clocks, now."""
    return figures("itsm_sla_figures")


def figures(function: str) -> Figures:
    """What a function of the database tells: sums only, so that a process that serves requests may ask it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT due_since, untold, untold_since, parked FROM {function}()")
        return Figures(*cursor.fetchone())


def overdue(now: datetime | None = None) -> list[SlaClock]:
    """Clocks of the tenant in force that run, are overdue and have not fired; and those that were parked."""
    late = (now or clock.now()) - LATE
    unfired = Q(due_at__lt=late, breached_at__isnull=True) | Q(next_due_at__lt=late)
    found = SlaClock.objects.filter(state="running").filter(unfired | Q(attempts__gte=ALARM_AFTER))
    return list(found.select_related("ticket").order_by("due_at")[:100])


def alarming(actor: Actor) -> list[SlaClock]:
    """Those of overdue() whose tickets the actor sees."""
    return of_seen_tickets(actor, overdue())


def of_seen_tickets(actor: Actor, found: list[R]) -> list[R]:
    """Those rows whose tickets the actor sees."""
    seen = visible_to(actor, Ticket.objects.all()).filter(pk__in=[row.ticket_id for row in found])
    known = set(seen.values_list("pk", flat=True)) if found else set()
    return [row for row in found if row.ticket_id in known]


def audit_all() -> int:
    """Name every such clock in the log, for the operator. Answers how many there are."""
    return for_each_tenant("audit of clocks", all_tenants(), _audit)


def _audit(tenant_id: UUID) -> int:
    with tenant(tenant_id):
        found = overdue()
    for row in found:
        logger.error(
            "a clock is overdue and has not fired",
            extra={"tenant_id": str(tenant_id), "clock_id": str(row.pk), "ticket_id": str(row.ticket_id)},
        )
    return len(found)
