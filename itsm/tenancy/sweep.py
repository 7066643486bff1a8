"""Work that is done for one tenant after the other, and never for all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant

logger = logging.getLogger(__name__)

#: Rows that one statement deletes: far below the time limit of a statement.
PRUNE_BATCH = 5000


def active_tenants() -> list[UUID]:
    """The tenants that work."""
    return list(Tenant.objects.filter(is_active=True).values_list("pk", flat=True))


def all_tenants() -> list[UUID]:
    """The closed ones, too: what must be forgotten is forgotten there as well."""
    return list(Tenant.objects.values_list("pk", flat=True))


def for_each_tenant(job: str, tenants: Iterable[UUID], work: Callable[[UUID], int]) -> int:
    """Run ``work`` for each of them and answer the sum. It fails for itself: the log names ``job``, the others go on."""
    done = 0
    for tenant_id in tenants:
        try:
            done += work(tenant_id)
        except Exception:
            # Their order does not change: one tenant's trouble would keep those after it waiting each time.
            logger.exception("%s failed", job, extra={"tenant_id": str(tenant_id)})
    return done


def prune_rows(tenant_id: UUID, rows: QuerySet[Any]) -> int:
    """Delete the tenant's ``rows``, a batch and a transaction at a time. Answers how many."""
    pruned = 0
    while True:
        with tenant(tenant_id):
            found = list(rows.filter(tenant_id=tenant_id).values_list("pk", flat=True)[:PRUNE_BATCH])
            rows.model._default_manager.filter(pk__in=found).delete()
        pruned += len(found)
        if len(found) < PRUNE_BATCH:
            return pruned
