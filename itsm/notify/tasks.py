"""Scheduled work: sending what is due, and forgetting what is old. Bodies are thin."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from celery import shared_task

from itsm.kernel import clock
from itsm.notify.models import WAITING, Dispatch, Notification
from itsm.notify.sending import send_due, tenants_with_due
from itsm.tenancy.sweep import all_tenants, for_each_tenant, prune_rows

#: How long the ledger and its mails are kept, and how long an inbox remembers.
KEEP_MAILS = timedelta(days=30)
KEEP_NOTIFICATIONS = timedelta(days=180)


@shared_task
def send_tenant(tenant_id: str) -> int:
    """Send what is due for one tenant."""
    return send_due(UUID(tenant_id))


@shared_task
def send_all() -> int:
    """The sweep: digests, second attempts, and whatever the fast path missed. Answers how many tenants had work."""
    waiting = tenants_with_due()
    for_each_tenant("sending", waiting, send_due)
    return len(waiting)


@shared_task
def prune_all() -> int:
    """Remove mails and notifications that are old. Answers how many rows."""
    now = clock.now()
    mails = Dispatch.objects.filter(created_at__lt=now - KEEP_MAILS).exclude(status__in=WAITING)
    # A part goes before the digest that carried it, a dispatch before its notification: one refers to the other.
    parts, wholes = mails.filter(digest__isnull=False), mails.filter(digest__isnull=True)
    used = Dispatch.objects.filter(notification__isnull=False).values("notification_id")
    carried = Dispatch.objects.filter(digest__isnull=False).values("digest_id")
    old = Notification.objects.filter(created_at__lt=now - KEEP_NOTIFICATIONS).exclude(pk__in=used)
    return for_each_tenant(
        "pruning of notifications",
        all_tenants(),
        lambda tenant_id: (
            prune_rows(tenant_id, parts)
            + prune_rows(tenant_id, wholes.exclude(pk__in=carried))
            + prune_rows(tenant_id, old)
        ),
    )
