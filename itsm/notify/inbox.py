"""One's inbox, to read: what happened, in the reader's words, as far as he may still see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from itsm.access.decide import allows, visible_to
from itsm.events.kinds import current
from itsm.kernel.actor import Actor
from itsm.notify.models import Notification
from itsm.notify.topics import TOPICS
from itsm.tickets.models import Audience, Ticket
from itsm.tickets.timeline import Names, audience_of, in_words

#: How many a person ``p`` has not read, up to 100: the bell says no more than "99+".
UNREAD = """
(SELECT count(*) FROM (SELECT 1 FROM notify_notification n WHERE n.tenant_id = p.tenant_id AND n.person_id = p.id
  AND n.in_inbox AND n.read_at IS NULL LIMIT 100) unread)
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Without a ticket it tells of none, or of one that the reader may not see any more (``hidden``)."""

    id: UUID
    topic: str
    label: str
    urgency: str
    created_at: datetime
    read_at: datetime | None
    event_id: UUID
    event_kind: str
    who: str
    text: str
    ticket: Ticket | None
    hidden: bool


def _me(actor: Actor) -> list[UUID]:
    return [actor.person_id] if actor.person_id is not None else []


def notifications_of(actor: Actor, *, unread: bool | None = None) -> QuerySet[Notification]:
    """What stands in the actor's own inbox."""
    found = Notification.objects.filter(tenant_id=actor.tenant_id, person_id__in=_me(actor), in_inbox=True)
    return found if unread is None else found.filter(read_at__isnull=unread)


def newest(actor: Actor, *, after: UUID | None, limit: int, unread: bool | None = None) -> list[Notification]:
    """A page, newest first, of what is older than ``after``."""
    found = notifications_of(actor, unread=unread)
    mark = found.model.objects.filter(pk=after, person_id__in=_me(actor)).first() if after is not None else None
    if mark is not None:
        older = Q(created_at__lt=mark.created_at) | Q(created_at=mark.created_at, pk__lt=mark.pk)
        found = found.filter(older, created_at__lte=mark.created_at)
    return list(found.select_related("event").order_by("-created_at", "-pk")[:limit])


def lines_of(actor: Actor, notifications: Sequence[Notification]) -> list[Line]:
    """The notifications in words. The number of statements does not grow with their number."""
    ids = {one.ticket_id for one in notifications if one.ticket_id is not None}
    tickets: dict[UUID, Ticket] = {}
    if ids:
        tickets = {ticket.pk: ticket for ticket in visible_to(actor, Ticket.objects.filter(pk__in=ids))}
    payloads = [current(one.event.kind, one.event.version, one.event.payload) for one in notifications]
    names = Names(actor, [*payloads, *({"who": one.event.actor_id} for one in notifications)])
    return [_line(actor, one, tickets.get(one.ticket_id) if one.ticket_id else None, names) for one in notifications]


def _line(actor: Actor, one: Notification, ticket: Ticket | None, names: Names) -> Line:
    topic, event = TOPICS.get(one.topic), one.event
    label = str(topic.label) if topic else one.topic
    hidden = one.ticket_id is not None and (ticket is None or not _may_read(actor, one, ticket))
    who = text = ""
    if one.ticket_id is not None and not hidden:
        who, text = in_words(event, names)
    return Line(
        id=one.pk,
        topic=one.topic,
        label=label,
        urgency=one.urgency,
        created_at=one.created_at,
        read_at=one.read_at,
        event_id=event.pk,
        event_kind=event.kind,
        who=who,
        text=text,
        ticket=None if hidden else ticket,
        hidden=hidden,
    )


def _may_read(actor: Actor, one: Notification, ticket: Ticket) -> bool:
    event = one.event
    public = audience_of(event.kind, current(event.kind, event.version, event.payload)) == Audience.PUBLIC
    return public or allows(actor, "ticket.read_internal", ticket)
