"""Reading links: both ways, and never further than the reader sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Q

from itsm.access.decide import visible_to
from itsm.kernel.actor import Actor
from itsm.tickets.models import Ticket, TicketLink


def links_of(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """The links of these tickets, both ways, as far as the actor sees the other end."""
    wanted = set(ids)
    found: dict[UUID, list[dict[str, Any]]] = {}
    rows = list(
        TicketLink.objects.filter(tenant_id=actor.tenant_id)
        .filter(Q(source_id__in=wanted) | Q(target_id__in=wanted))
        .order_by("created_at", "id")
        .values("id", "kind", "source_id", "target_id")
    )
    if not rows:
        return found
    ends = {row["source_id"] for row in rows} | {row["target_id"] for row in rows}
    seen = {
        row["pk"]: row
        for row in visible_to(actor, Ticket.objects.filter(pk__in=ends)).values("pk", "number", "title", "kind")
    }
    for row in rows:
        for mine, other, outward in (
            (row["source_id"], row["target_id"], True),
            (row["target_id"], row["source_id"], False),
        ):
            if mine in wanted and other in seen:
                end = seen[other]
                found.setdefault(mine, []).append(
                    {
                        "id": row["id"],
                        "kind": row["kind"],
                        "direction": "outward" if outward else "inward",
                        "ticket": {"id": other, "number": end["number"], "title": end["title"], "kind": end["kind"]},
                    }
                )
    return found
