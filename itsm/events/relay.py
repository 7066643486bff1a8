"""The relay: seals committed events into the tenant's feed and hands them to their consumers.

It runs outside every user's transaction. The lock on the tenant's FeedHead makes it single; a second one steps aside.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from itsm.events.bus import wiring
from itsm.events.digest import seal_digest
from itsm.events.models import Delivery, DeliveryStatus, FeedHead, Outbox, Seal
from itsm.events.write import record_stop, unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import TooManyCauses
from itsm.kernel.ids import new_id
from itsm.tenancy.bulk import insert_rows
from itsm.tenancy.context import tenant
from itsm.tenancy.roles import database_role

logger = logging.getLogger(__name__)

BATCH = 500
#: After this many failures a delivery is dead and waits for a person; together the waits are about two hours.
MAX_ATTEMPTS = 10


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


def deliver_due(tenant_id: UUID, limit: int = 100) -> int:
    """Run up to ``limit`` due deliveries, each in a savepoint of its own. Answers how many were taken."""
    try:
        return _deliver_together(tenant_id, limit)
    except Exception:
        # A consumer took the whole transaction with it (it lost the connection, or ran into a time limit): nothing of
        # this batch counts, and the next try must not end at the same place before anything is recorded.
        logger.exception("a delivery broke its batch; delivering one by one")
        return _deliver_apart(tenant_id, limit)


def _due() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=DeliveryStatus.PENDING, available_at__lte=clock.now())


def _locked(due: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return due.select_for_update(skip_locked=True, of=("self",)).select_related("event")


def _deliver_together(tenant_id: UUID, limit: int) -> int:
    with tenant(tenant_id):
        due = list(_locked(_due()).order_by("available_at", "event_id")[:limit])
        done = [delivery.pk for delivery in due if _attempt(delivery)]
        _finish(done)
    return len(due)


def _deliver_apart(tenant_id: UUID, limit: int) -> int:
    """Each delivery in a transaction of its own, and its failure in another one, which nothing can undo."""
    with tenant(tenant_id):
        waiting = list(_due().order_by("available_at", "event_id").values_list("pk", flat=True)[:limit])
    for pk in waiting:
        try:
            with tenant(tenant_id):
                delivery = _locked(_due()).filter(pk=pk).first()
                if delivery is not None and _attempt(delivery):
                    _finish([pk])
        except Exception as error:
            logger.exception("a delivery broke its transaction", extra={"delivery_id": str(pk)})
            with tenant(tenant_id):
                broken = _locked(_due()).filter(pk=pk).first()
                if broken is not None:
                    _fail(broken, error)
    return len(waiting)


def _finish(done: Sequence[UUID]) -> None:
    if done:
        Delivery.objects.filter(pk__in=done).update(
            status=DeliveryStatus.DONE, finished_at=clock.now(), attempts=F("attempts") + 1
        )


def _attempt(delivery: Delivery) -> bool:
    """Hand the event to its consumer. True when it is done, False when the failure has been noted in the row."""
    consumer = wiring.consumers.get(delivery.consumer)
    if consumer is None:
        return True  # The consumer was switched off after this was handed out.
    try:
        with transaction.atomic():
            consumer.handle(delivery.event)
    except TooManyCauses:
        # Trying again would end at the same depth.
        with unit_of_work(Actor.system(delivery.event.tenant_id, "relay")) as work:
            record_stop(work, consumer.name, delivery.event)
        return True
    except Exception as error:
        # Whatever a consumer raises, the others must go on; the row keeps what happened and when to try again.
        logger.exception("delivery to %s failed", delivery.consumer, extra={"event_id": str(delivery.event_id)})
        _fail(delivery, error)
        return False
    return True


def _fail(delivery: Delivery, error: Exception) -> None:
    delivery.attempts += 1
    dead = delivery.attempts >= MAX_ATTEMPTS
    delivery.status = DeliveryStatus.DEAD if dead else DeliveryStatus.PENDING
    delivery.available_at = clock.now() + timedelta(seconds=min(5 * 2**delivery.attempts, 1800))
    # NUL cannot be stored, and a message that cannot be stored would keep the failure from being noted.
    delivery.error = f"{type(error).__name__}: {error}".replace("\x00", "")[:500]
    delivery.save(update_fields=["attempts", "status", "available_at", "error"])
    if dead:
        logger.error("delivery to %s is dead", delivery.consumer, extra={"event_id": str(delivery.event_id)})
