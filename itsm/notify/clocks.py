"""The topics of service levels: what runs out, and what has run out. People are told while it still helps."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.notify import wording
from itsm.notify.topics import Topic, register
from itsm.sla.models import SlaClock
from itsm.tickets.models import Ticket


def whose(event: Event) -> Iterable[UUID | None]:
    """Whoever works on the ticket; its team while nobody has taken it. What the clock has left behind concerns nobody."""
    if event.payload.get("stale") or event.ticket_id is None:
        return []
    ticket = Ticket.objects.filter(pk=event.ticket_id).values_list("assignee_id", "team_id").first()
    if ticket is None or ticket == (None, None):
        return []
    assignee_id, team_id = ticket
    if assignee_id is not None:
        return [assignee_id]
    return RoleGrant.objects.valid(event.occurred_at).filter(team_id=team_id).values_list("person_id", flat=True)


def moved_on(event: Event) -> str:
    """Why it need not be told any more: the clock waits or has ended. A breach stays one, but an ended clock wakes nobody."""
    state = SlaClock.objects.filter(pk=UUID(event.payload["clock"])).values_list("state", flat=True).first()
    return "" if state == "running" else "clock_stopped"


def connect() -> None:
    """Register them."""
    register(
        Topic(
            "sla_warning", _("Time runs out on my ticket"), ("sla.threshold_reached",), whose, over=moved_on, rank=25
        ),
        Topic("sla_breached", _("My ticket is overdue"), ("sla.breached",), whose, over=moved_on, rank=24),
    )
    wording.add_subject("sla_warning", "{ticket.number} runs out of time", "{ticket.number}: die Zeit wird knapp")
    wording.add_subject("sla_breached", "{ticket.number} is overdue", "{ticket.number} ist überfällig")
