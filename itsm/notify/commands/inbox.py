"""Reading one's inbox, and acknowledging by the link in a message.

That something was read is the reader's own affair and makes no event; what an acknowledgement does makes its own.
"""

from __future__ import annotations

from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, NotFound
from itsm.notify.checks import over
from itsm.notify.models import Notification
from itsm.notify.planning import may_read
from itsm.notify.topics import TOPICS
from itsm.tickets.models import Ticket


class Over(DomainError):
    """There is nothing to acknowledge any more; ``code`` says why (``acknowledged``, ``resolved`` …)."""


def read_notification(*, actor: Actor, notification_id: UUID) -> Notification:
    """Mark one of one's own notifications as read. Reading twice is once. Raises NotFound for anybody else's."""
    with unit_of_work(actor) as work:
        authorize(actor, "notification.update")
        found = Notification.objects.select_for_update().filter(
            pk=notification_id, person_id__in=[actor.person_id], in_inbox=True
        )
        notification: Notification | None = found.first()
        if notification is None:
            raise NotFound
        if notification.read_at is None:
            notification.read_at = work.now
            work.changed(notification, "read_at")
    return notification


def read_all_notifications(*, actor: Actor) -> int:
    """Mark everything in one's inbox as read. Answers how many were not."""
    with unit_of_work(actor) as work:
        authorize(actor, "notification.update")
        unread = Notification.objects.filter(person_id__in=[actor.person_id], in_inbox=True, read_at__isnull=True)
        return unread.update(read_at=work.now)


def acknowledge_notification(*, actor: Actor, notification_id: UUID) -> Notification:
    """Do what the link in a message promises: the topic's ``acknowledge``, as the person who was told, once.

    Raises NotFound for a notification that is not the actor's, whose subject he may not see any more, or that cannot be
    acknowledged; Over when that has been done or is not needed any more.
    """
    with unit_of_work(actor) as work:
        found = Notification.objects.select_for_update(of=("self",)).select_related("event")
        notification: Notification | None = found.filter(pk=notification_id, person_id__in=[actor.person_id]).first()
        topic = TOPICS.get(notification.topic) if notification is not None else None
        if notification is None or topic is None or topic.acknowledge is None:
            raise NotFound
        if not may_read(actor, notification.event):
            raise NotFound
        if notification.acknowledged_at is not None:
            raise Over("You have used this link already.", code="used")
        # Under visibility already (may_read); over() asks for the state alone.
        ticket = Ticket.objects.filter(pk__in=[notification.ticket_id]).first()
        if reason := over(topic, notification.event, ticket):
            raise Over("This needs nobody any more.", code=reason)
        topic.acknowledge(actor, notification.event)
        notification.acknowledged_at = work.now
        notification.read_at = notification.read_at or work.now
        work.changed(notification, "acknowledged_at", "read_at")
    return notification
