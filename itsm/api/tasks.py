"""Scheduled work of the API."""

from __future__ import annotations

from celery import shared_task

from itsm.api.idempotency import prune
from itsm.tenancy.sweep import all_tenants, for_each_tenant


@shared_task
def prune_idempotency_keys() -> int:
    """Forget old answers, tenant by tenant. Answers how many."""
    return for_each_tenant("pruning of answers", all_tenants(), prune)
