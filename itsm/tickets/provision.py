"""What a new tenant's desk starts with."""

from __future__ import annotations

from uuid import UUID

from itsm.events.models import FeedHead
from itsm.tickets.models import DeskSettings, PriorityRule
from itsm.tickets.priority import DEFAULT_MATRIX


def provision(tenant_id: UUID) -> None:
    """The feed, the desk's settings and the priority matrix. Safe to repeat."""
    FeedHead.objects.get_or_create(tenant_id=tenant_id)
    DeskSettings.objects.get_or_create(tenant_id=tenant_id)
    for (impact, urgency), priority in DEFAULT_MATRIX.items():
        PriorityRule.objects.get_or_create(
            tenant_id=tenant_id, impact=impact, urgency=urgency, defaults={"priority": priority}
        )
