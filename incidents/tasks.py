"""Scheduled work on incidents. Bodies are thin: they call commands."""

from __future__ import annotations

from celery import shared_task

from incidents.auto_close import close_due
from incidents.review_reminders import remind_due
from itsm.tenancy.sweep import active_tenants, for_each_tenant


@shared_task
def auto_close_all() -> int:
    """Close what was resolved long enough ago, tenant by tenant. Answers how many."""
    return for_each_tenant("auto-close", active_tenants(), close_due)


@shared_task
def remind_of_reviews() -> int:
    """Remind of overdue reviews of major incidents, tenant by tenant. Answers of how many."""
    return for_each_tenant("reminding of reviews", active_tenants(), remind_due)
