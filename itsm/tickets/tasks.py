"""Scheduled work on tickets. Bodies are thin: they call commands."""

from __future__ import annotations

import logging

from celery import shared_task

from itsm.kernel.actor import Actor
from itsm.tenancy.models import Tenant
from itsm.tickets.commands.erasure import retire_texts

logger = logging.getLogger(__name__)


@shared_task
def retire_all() -> int:
    """Remove the texts that no tenant wants to keep any longer, in short transactions. Answers how many tickets."""
    retired = 0
    for tenant_id in Tenant.objects.filter(is_active=True).values_list("pk", flat=True):
        try:
            while count := retire_texts(actor=Actor.system(tenant_id, "retention")):
                retired += count
        except Exception:
            # One organisation's trouble must not keep the texts of the others.
            logger.exception("retention failed", extra={"tenant_id": str(tenant_id)})
    return retired
