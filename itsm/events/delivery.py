"""Handing sealed events to their consumers: at least once, each on its own, the failures with what happened and when next."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from itsm.events.bus import wiring
from itsm.events.models import Delivery, DeliveryStatus
from itsm.events.write import record_stop, unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import TooManyCauses
from itsm.tenancy.context import tenant

logger = logging.getLogger(__name__)

#: After this many failures a delivery is dead and waits for a person; together the waits are about two hours.
MAX_ATTEMPTS = 10
#: How long a consumer that talks to the network may take before its event is handed out again.
LEASE = timedelta(minutes=10)


def deliver_due(tenant_id: UUID, limit: int = 100) -> int:
    """Run up to ``limit`` due deliveries, each in a savepoint of its own. Answers how many were taken."""
    try:
        return _deliver_together(tenant_id, limit)
    except Exception:
        # A consumer took the whole transaction with it (it lost the connection, or ran into a time limit): nothing of
        # this batch counts, and the next try must not end at the same place before anything is recorded.
        logger.exception("a delivery broke its batch; delivering one by one")
        return _deliver_apart(tenant_id, limit)


def deliver_outside(tenant_id: UUID, limit: int = 10) -> int:
    """Run up to ``limit`` due deliveries to consumers that are outside. Answers how many were taken.

    Each is leased: whoever took it and died has it taken from him after LEASE. The lease counts as an attempt, so that one
    that kills its worker every time ends as dead too.
    """
    with tenant(tenant_id):
        due = list(_locked(_due(outside=True)).order_by("available_at", "event_id")[:limit])
        for delivery in due:
            if delivery.attempts >= MAX_ATTEMPTS:
                delivery.attempts -= 1
                _fail(delivery, RuntimeError("no attempt came to an end"))
        taken = [delivery for delivery in due if delivery.status == DeliveryStatus.PENDING]
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in taken]).update(
            attempts=F("attempts") + 1, available_at=clock.now() + LEASE
        )
    for delivery in taken:
        try:
            wiring.consumers[delivery.consumer].handle(delivery.event)
        except Exception as error:
            logger.exception("delivery to %s failed", delivery.consumer, extra={"event_id": str(delivery.event_id)})
            with tenant(tenant_id):
                _fail(delivery, error)
        else:
            with tenant(tenant_id):
                Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.DONE, finished_at=clock.now())
    return len(due)


def _due(*, outside: bool = False) -> QuerySet[Delivery]:
    due = Delivery.objects.filter(status=DeliveryStatus.PENDING, available_at__lte=clock.now())
    names = [consumer.name for consumer in wiring.consumers.values() if consumer.outside]
    return due.filter(consumer__in=names) if outside else due.exclude(consumer__in=names)


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
