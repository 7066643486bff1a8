"""A ledger that is its own outbox: rows wait until they are told to their ticket, in the transaction that marks them handled.

So each is told once, whoever tells; a process that dies before has told nothing, and the next one finds the row.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F

from itsm.kernel import clock
from itsm.tenancy.context import tenant
from itsm.tenancy.roles import database_role

logger = logging.getLogger(__name__)

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Ledger:
    """Fires of one table, with ``ticket_id``, ``available_at``, ``handled_at`` and ``attempts``.

    ``tell_ticket`` tells all of one ticket in one transaction and answers how many; ``what`` is their name in the log.
    """

    model: Any
    tell_ticket: Callable[[UUID, UUID], int]
    what: str

    def tenants(self, now: datetime | None = None) -> list[UUID]:
        """Tenants whose tickets have not been told yet, the longest waiting first (platform role)."""
        with database_role("platform") as alias, transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(
                f"SELECT tenant_id FROM {self.model._meta.db_table} WHERE handled_at IS NULL AND available_at <= "
                "coalesce(%s::timestamptz, statement_timestamp()) GROUP BY tenant_id ORDER BY min(available_at)",
                [now],
            )
            return [row[0] for row in cursor.fetchall()]

    def tell_all(self, budget: float = 20.0, now: datetime | None = None) -> int:
        """Tell the tickets of all tenants, for at most so many seconds. Answers how many fires were told."""
        until, told = time.monotonic() + budget, 0
        for tenant_id in self.tenants(now):
            try:
                told += self.tell(tenant_id, until)
            except Exception:
                logger.exception("telling %ss failed", self.what, extra={"tenant_id": str(tenant_id)})
            if time.monotonic() > until:
                break
        return told

    def tell(self, tenant_id: UUID, until: float) -> int:
        """Tell one tenant's tickets, each in a transaction of its own, until the monotonic time ``until``."""
        told = 0
        while time.monotonic() <= until:
            with tenant(tenant_id):
                waiting = self.model.objects.filter(handled_at__isnull=True, available_at__lte=clock.now())
                tickets = list(
                    dict.fromkeys(waiting.order_by("available_at", "id").values_list("ticket_id", flat=True)[:_BATCH])
                )
            for ticket_id in tickets:
                try:
                    told += self.tell_ticket(tenant_id, ticket_id)
                except Exception:
                    logger.exception("a %s could not be told", self.what, extra={"ticket_id": str(ticket_id)})
                    self._later(tenant_id, ticket_id)
                if time.monotonic() > until:
                    break
            if len(tickets) < _BATCH:
                break
        return told

    def _later(self, tenant_id: UUID, ticket_id: UUID) -> None:
        """What cannot be told now is tried again, ever later; it stays in the ledger until it is told."""
        with tenant(tenant_id):
            for fire in self.model.objects.filter(ticket_id=ticket_id, handled_at__isnull=True):
                wait = timedelta(seconds=min(5 * 2 ** min(fire.attempts, 10), 3600))
                self.model.objects.filter(pk=fire.pk).update(
                    attempts=F("attempts") + 1, available_at=clock.now() + wait
                )
