"""Reviews of major incidents that are overdue are asked for once a day, until they are written."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db.models import Exists, OuterRef

from incidents.commands.major_review import REMINDED_EVERY, remind_of_review
from incidents.models import MajorIncident, MajorState
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.context import tenant

logger = logging.getLogger(__name__)


def remind_due(tenant_id: UUID) -> int:
    """Remind of the tenant's overdue reviews, one short transaction each. Answers of how many."""
    actor = Actor.system(tenant_id, "remind_of_review")
    return sum(_remind(actor, ticket_id) for ticket_id in _due(tenant_id))


def _due(tenant_id: UUID) -> list[UUID]:
    now = clock.now()
    told = Event.objects.filter(
        ticket_id=OuterRef("pk"), kind="incident.major_review_overdue", occurred_at__gt=now - REMINDED_EVERY
    )
    with tenant(tenant_id):
        overdue = MajorIncident.objects.filter(state=MajorState.REVIEW_DUE, review_due_at__lte=now)
        return list(overdue.filter(~Exists(told)).order_by("review_due_at", "pk").values_list("pk", flat=True))


def _remind(actor: Actor, ticket_id: UUID) -> bool:
    try:
        return remind_of_review(actor=actor, ticket_id=ticket_id)
    except DomainError as error:
        # One that cannot be reminded of must not keep the others waiting.
        logger.warning("reminder refused: %s", error.code, extra={"ticket_id": str(ticket_id)})
        return False
