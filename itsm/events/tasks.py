"""What beat and the fast path start. Bodies are thin: they call the relay."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.db.models import QuerySet

from itsm.events.models import Delivery, DeliveryStatus
from itsm.events.relay import relay, tenants_with_work
from itsm.kernel import clock
from itsm.tenancy.sweep import all_tenants, for_each_tenant, prune_rows

#: Deliveries that are done are kept this long, for the operator who wonders.
KEEP_DONE = timedelta(days=7)


@shared_task
def relay_tenant(tenant_id: str) -> int:
    """Seal and deliver one tenant's outbox."""
    return relay(UUID(tenant_id))


@shared_task
def relay_all() -> int:
    """The sweep: whatever the fast path missed. Answers how many tenants had work."""
    waiting = tenants_with_work()
    for_each_tenant("relay", waiting, relay)
    return len(waiting)


@shared_task
def prune_all() -> int:
    """Remove deliveries that were done a week ago. Answers how many."""
    done = done_before(clock.now() - KEEP_DONE)
    return for_each_tenant("pruning of deliveries", all_tenants(), lambda tenant_id: prune_rows(tenant_id, done))


def done_before(instant: datetime) -> QuerySet[Delivery]:
    """Deliveries that were done before."""
    return Delivery.objects.filter(status=DeliveryStatus.DONE, finished_at__lt=instant)
