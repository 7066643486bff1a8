"""Telling tickets what was fired: one event per clock and sweep, written by a command that holds the ticket's lock.

The ledger is its own outbox: a fire is handled in the transaction that writes its event, so it is told once, whoever tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from uuid import UUID

from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.sla.book import terms_of
from itsm.sla.clock import Threshold
from itsm.sla.ledger import Ledger
from itsm.sla.models import SlaClock, SlaClockEvent, SlaFire
from itsm.sla.terms import write_threshold
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import Ticket

BREACH = Threshold(percent=100)


def _tell(tenant_id: UUID, ticket_id: UUID) -> int:
    with unit_of_work(Actor.system(tenant_id, "sla")) as work:
        ticket = lock_ticket(work.actor, ticket_id)
        waiting = SlaFire.objects.filter(ticket_id=ticket.pk, handled_at__isnull=True).order_by(
            "fired_at", "clock_id", "due_at", "step"
        )
        fires = list(waiting)
        clocks = {row.pk: row for row in SlaClock.objects.filter(pk__in={fire.clock_id for fire in fires})}
        for (clock_id, generation, _), group in groupby(
            fires, key=lambda fire: (fire.clock_id, fire.generation, fire.fired_at)
        ):
            _emit(work, ticket, clocks[clock_id], generation, list(group))
        SlaFire.objects.filter(pk__in=[fire.pk for fire in fires]).update(handled_at=work.now)
    return len(fires)


def _emit(work: UnitOfWork, ticket: Ticket, row: SlaClock, generation: int, fires: list[SlaFire]) -> None:
    """One event for what one sweep found in one clock. The last threshold speaks; a breach is never overtaken."""
    thresholds = _thresholds(work.actor.tenant_id, row, generation)
    steps = [(thresholds[fire.step] if fire.step < len(thresholds) else BREACH, fire) for fire in fires]
    threshold, fire = next((pair for pair in steps if pair[0] == BREACH), steps[-1])
    stale = row.state != "running" or row.generation != generation
    work.emit(
        "sla.breached" if threshold == BREACH else "sla.threshold_reached",
        ticket,
        clock=row.pk,
        metric=row.metric,
        threshold=write_threshold(threshold),
        due_at=fire.due_at,
        fired_at=fire.fired_at,
        coalesced=_written(other for other, _ in steps if other != threshold),
        stale=stale,
    )


def _thresholds(tenant_id: UUID, row: SlaClock, generation: int) -> tuple[Threshold, ...]:
    """Those under which the clock ran in that generation; it may have been retargeted since."""
    version = row.policy_version_id
    if row.generation != generation:
        then = SlaClockEvent.objects.filter(clock_id=row.pk, generation=generation)
        version = then.values_list("policy_version_id", flat=True).first() or version
    return terms_of(tenant_id, version).thresholds


def _written(thresholds: Iterable[Threshold]) -> list[str]:
    return [write_threshold(threshold) for threshold in thresholds]


FIRES = Ledger(SlaFire, _tell, "fire")


def tenants_with_fires(now: datetime | None = None) -> list[UUID]:
    """Tenants whose tickets have not been told yet, the longest waiting first (platform role)."""
    return FIRES.tenants(now)


def tell_all(budget: float = 20.0, now: datetime | None = None) -> int:
    """Tell the tickets of all tenants, for at most so many seconds. Answers how many fires were told."""
    return FIRES.tell_all(budget, now)
