"""Scheduled work of the API."""

from __future__ import annotations

from celery import shared_task

from itsm.api.idempotency import prune
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant


@shared_task
def prune_idempotency_keys() -> int:
    """Forget old answers, tenant by tenant. Answers how many."""
    pruned = 0
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        with tenant(tenant_id):
            pruned += prune(tenant_id)
    return pruned
