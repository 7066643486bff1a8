"""Scheduled work on incidents. Bodies are thin: they call commands."""

from __future__ import annotations

import logging

from celery import shared_task

from incidents.auto_close import close_due
from itsm.tenancy.models import Tenant

logger = logging.getLogger(__name__)


@shared_task
def auto_close_all() -> int:
    """Close what was resolved long enough ago, tenant by tenant. Answers how many."""
    closed = 0
    for tenant_id in Tenant.objects.filter(is_active=True).values_list("pk", flat=True):
        try:
            closed += close_due(tenant_id)
        except Exception:
            # One organisation's trouble must not keep the incidents of the others open.
            logger.exception("auto-close failed", extra={"tenant_id": str(tenant_id)})
    return closed
