"""What beat and the fast path start. Bodies are thin: they call the relay."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task

from itsm.events.models import Delivery, DeliveryStatus
from itsm.events.relay import relay, tenants_with_work
from itsm.kernel import clock
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant

logger = logging.getLogger(__name__)

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
    for tenant_id in waiting:
        try:
            relay(tenant_id)
        except Exception:
            # The tenant with the oldest work comes first: its trouble must not keep the others waiting.
            logger.exception("relay failed", extra={"tenant_id": str(tenant_id)})
    return len(waiting)


@shared_task
def prune_all() -> None:
    """Remove deliveries that were done a week ago."""
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        with tenant(tenant_id):
            Delivery.objects.filter(status=DeliveryStatus.DONE, finished_at__lt=clock.now() - KEEP_DONE).delete()
