"""Which events go to which webhook endpoint, and the body that they go as.

An endpoint belongs to the organisation and not to a person: it is sent no notes, nothing of restricted teams and nothing
that belongs to no ticket. Bodies hold ids and codes; whoever wants texts reads them over the API, where rights apply.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from itsm.events.kinds import current
from itsm.events.models import Event, FeedEntry
from itsm.notify.models import Channel, Dispatch, Endpoint
from itsm.tickets.models import Audience, Ticket


def wanted(endpoint: Endpoint, kind: str) -> bool:
    """Whether the endpoint takes events of this kind."""
    return not endpoint.kinds or any(
        kind == one or (one.endswith(".") and kind.startswith(one)) for one in endpoint.kinds
    )


def open_to_all(event: Event) -> bool:
    """Whether an event may leave the organisation: about a ticket, no note, no restricted team's."""
    if event.ticket_id is None or event.payload.get("audience") == Audience.INTERNAL:
        return False
    return not Ticket.objects.filter(pk=event.ticket_id, team__is_restricted=True).exists()


def plan(event: Event, now: datetime) -> list[Dispatch]:
    """One dispatch for every endpoint that takes the event."""
    if event.ticket_id is None:
        return []
    takers = [one for one in Endpoint.objects.filter(is_active=True) if wanted(one, event.kind)]
    if not takers or not open_to_all(event):
        return []
    return [
        Dispatch(
            tenant_id=event.tenant_id,
            key=f"webhook:{event.pk}:{endpoint.pk}",
            channel=Channel.WEBHOOK,
            endpoint_id=endpoint.pk,
            event_id=event.pk,
            ticket_id=event.ticket_id,
            created_at=now,
            available_at=now,
        )
        for endpoint in takers
    ]


def body_of(event: Event) -> dict[str, Any]:
    """The event as the feed shows it, in the envelope of Standard Webhooks."""
    position = FeedEntry.objects.filter(event_id=event.pk).values_list("position", flat=True).first()
    number, kind = Ticket.objects.values_list("number", "kind").get(pk=str(event.ticket_id))
    return {
        "type": event.kind,
        "timestamp": event.occurred_at,
        "data": {
            "position": position,
            "id": event.pk,
            "kind": event.kind,
            "ticket": {"id": event.ticket_id, "number": number, "kind": kind},
            "sequence": event.sequence,
            "actor": {"kind": event.actor_kind, "id": event.actor_id, "label": event.actor_label},
            "cause": event.cause_id,
            "depth": event.depth,
            "request_id": event.request_id,
            "occurred_at": event.occurred_at,
            "recorded_at": event.recorded_at,
            "payload": current(event.kind, event.version, event.payload),
        },
    }
