"""The relay: seals committed events into the tenant's feed and hands them to their consumers.

It runs outside every user's transaction. The lock on the tenant's FeedHead makes it single; a second one steps aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from django.db import transaction

from itsm.events.bus import wiring
from itsm.events.delivery import deliver_due, deliver_outside
from itsm.events.digest import seal_digest
from itsm.events.models import Delivery, FeedHead, Outbox, Seal
from itsm.kernel.ids import new_id
from itsm.tenancy.bulk import insert_rows
from itsm.tenancy.context import tenant
from itsm.tenancy.roles import database_role

BATCH = 500


def relay(tenant_id: UUID) -> int:
    """Seal and dispatch what is in the tenant's outbox, then deliver what is due. Answers how many events were sealed."""
    sealed = 0
    while True:
        with tenant(tenant_id):
            count = _seal_batch()
        sealed += count
        if count < BATCH:
            break
    while deliver_due(tenant_id):
        pass
    while deliver_outside(tenant_id):
        pass
    return sealed


def tenants_with_work() -> list[UUID]:
    """Tenants whose outbox or deliveries wait, oldest first. Sees scheduling columns only (platform role)."""
    with database_role("platform") as alias, transaction.atomic(using=alias):
        from django.db import connections

        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT tenant_id FROM ("
                " SELECT tenant_id, min(created_at) AS since FROM events_outbox GROUP BY tenant_id"
                " UNION ALL"
                " SELECT tenant_id, min(available_at) FROM events_delivery"
                " WHERE status = 'pending' AND available_at <= statement_timestamp() GROUP BY tenant_id"
                ") waiting GROUP BY tenant_id ORDER BY min(since)"
            )
            return [row[0] for row in cursor.fetchall()]


def _seal_batch() -> int:
    head = FeedHead.objects.select_for_update(skip_locked=True).first()
    if head is None:
        return 0
    waiting = list(Outbox.objects.select_related("event").order_by("id")[:BATCH])
    if not waiting:
        return 0
    events = [entry.event for entry in waiting]
    seal(head, events)
    Delivery.objects.bulk_create(
        [
            Delivery(tenant_id=event.tenant_id, event_id=event.pk, consumer=consumer.name)
            for event in events
            for consumer in wiring.consumers.values()
            if consumer.takes(event.kind)
        ]
    )
    Outbox.objects.filter(pk__in=[entry.pk for entry in waiting]).delete()
    lag = datetime.now(UTC) - min(event.recorded_at for event in events)
    transaction.on_commit(partial(wiring.sealed, lag.total_seconds()), robust=True)
    return len(events)


class Sealable(Protocol):
    """What the feed needs of an event."""

    pk: UUID
    digest: bytes


def seal(head: FeedHead, events: Sequence[Sealable]) -> None:
    """Append ``events``, in this order, to the feed whose locked head is ``head``, as one sealed batch."""
    first = head.position + 1
    insert_rows(
        "events_feedentry",
        {"id": "uuid", "position": "bigint", "event_id": "uuid"},
        [{"id": new_id(), "position": first + offset, "event_id": event.pk} for offset, event in enumerate(events)],
        {"tenant_id": head.tenant_id},
    )
    digest = seal_digest(head.digest, first, [event.digest for event in events])
    head.batch += 1
    head.position += len(events)
    Seal(
        tenant_id=head.tenant_id,
        batch=head.batch,
        first_position=first,
        last_position=head.position,
        previous_digest=head.digest,
        digest=digest,
    ).save(force_insert=True)
    head.digest = digest
    head.save(update_fields=["position", "batch", "digest"])
