"""Scheduled work on tickets. Bodies are thin: they call commands."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from itsm.kernel.actor import Actor
from itsm.tenancy.sweep import active_tenants, for_each_tenant
from itsm.tickets.commands.erasure import retire_texts


@shared_task
def retire_all() -> int:
    """Remove the texts that no tenant wants to keep any longer, in short transactions. Answers how many tickets."""
    return for_each_tenant("retention", active_tenants(), _retire)


def _retire(tenant_id: UUID) -> int:
    retired = 0
    while count := retire_texts(actor=Actor.system(tenant_id, "retention")):
        retired += count
    return retired
