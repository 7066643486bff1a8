"""What starts a policy by itself: a clock (in the transaction that tells its ticket) and an event of a ticket (by the outbox)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, Subquery

from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion
from itsm.escalation.plan import steps_of
from itsm.escalation.runs import begin_run
from itsm.escalation.steps import Steps
from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, TooManyCauses
from itsm.sla.book import facets_of
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import OPEN_CATEGORIES, Ticket

logger = logging.getLogger(__name__)

#: What happened longer ago and is only delivered now (a seed, a very long outage) calls nobody any more.
HISTORY = timedelta(days=1)
#: Jobs of the product that write what happened elsewhere, long ago.
_SILENT_JOBS = frozenset({"import"})


def start_for_clock(work: UnitOfWork, event: Event) -> None:
    """Subscriber: a clock reached a threshold. One that had moved on meanwhile starts nothing."""
    payload = event.payload
    if payload.get("stale") or event.ticket_id is None:
        return
    reached = frozenset({payload["threshold"], *payload.get("coalesced", ())})
    ticket: Ticket = Ticket.objects.get(pk=event.ticket_id)
    if ticket.state_category not in OPEN_CATEGORIES:
        return
    for policy, steps in active_policies(work.actor.tenant_id):
        facets = facets_of(ticket, steps.asks())
        if steps.started_by_clock(payload["metric"], reached, facets) and not _is_history(event):
            _start(event, policy, "clock", metric=payload["metric"], threshold=payload["threshold"])


def _is_history(event: Event) -> bool:
    """Whether the deadline had passed before the ticket was imported: history calls nobody."""
    if event.ticket_id is None:
        return False
    imported = Event.objects.filter(ticket_id=event.ticket_id, kind__endswith=".imported").order_by("-sequence").first()
    return imported is not None and datetime.fromisoformat(str(event.payload["due_at"])) <= imported.recorded_at


def start_for_event(event: Event) -> None:
    """Consumer: something happened to a ticket. Idempotent: the event is the key of the run."""
    if event.ticket_id is None or event.actor_label in _SILENT_JOBS or event.kind.endswith(".imported"):
        return
    if clock.now() - event.occurred_at > HISTORY:
        return
    hearing = [
        (policy, steps, heard)
        for policy, steps in active_policies(UUID(str(event.tenant_id)))
        if (heard := steps.started_by_event(event.kind))
    ]
    ticket: Ticket | None = Ticket.objects.filter(pk=event.ticket_id).first() if hearing else None
    if ticket is None or ticket.state_category not in OPEN_CATEGORIES:
        return
    times = Event.objects.filter(ticket_id=ticket.pk, kind=event.kind, sequence__lte=event.sequence).count()
    for policy, steps, heard in hearing:
        facets = facets_of(ticket, steps.asks())
        if any(times >= trigger.times and facets.meets(trigger.when) for trigger in heard):
            _start(event, policy, "event")


def active_policies(tenant_id: UUID) -> Iterator[tuple[EscalationPolicy, Steps]]:
    """The policies in use, with what they say now."""
    newest = EscalationPolicyVersion.objects.filter(policy_id=OuterRef("pk"), tenant_id=OuterRef("tenant_id"))
    policies = EscalationPolicy.objects.filter(is_active=True).annotate(
        newest=Subquery(newest.order_by("-version").values("pk")[:1])
    )
    for policy in policies.order_by("name"):
        if policy.newest is None:
            continue
        try:
            yield policy, steps_of(tenant_id, policy.newest)
        except Invalid:
            # It was checked when it was saved: only somebody who writes around the commands gets here.
            logger.exception("an escalation policy cannot be read", extra={"tenant_id": str(tenant_id)})


def _start(event: Event, policy: EscalationPolicy, trigger: str, *, metric: str = "", threshold: str = "") -> None:
    actor = Actor.system(UUID(str(event.tenant_id)), "escalation")
    try:
        with unit_of_work(actor, cause=event) as work:
            ticket = lock_ticket(actor, UUID(str(event.ticket_id)))
            begin_run(
                work, ticket, policy, key=f"event:{event.pk}", trigger=trigger, metric=metric, threshold=threshold
            )
    except TooManyCauses:
        logger.exception("a chain of reactions ends before an escalation", extra={"event_id": str(event.pk)})
