"""The last look before a mail leaves: is the reader still there, allowed, and willing, and is it still true?"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from itsm.access.actors import actor_of_person
from itsm.access.decide import visible_to
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.notify import ledger, letters, mail
from itsm.notify.letters import Letter, Told
from itsm.notify.models import Channel, Dispatch, Status, Urgency
from itsm.notify.planning import may_read
from itsm.notify.topics import TOPICS, Topic
from itsm.notify.wishes import Wishes, wishes_of_person
from itsm.tenancy.models import Tenant
from itsm.tickets.models import StateCategory, Ticket

#: So many mails about one ticket one person gets in an hour; what is more waits and leaves as one. Pages: three times as many.
MAILS_PER_HOUR = 10
_HOUR = timedelta(hours=1)
#: What ends a page whatever its topic says: nobody has to get up for it any more.
_ENDED = {
    StateCategory.DONE: "resolved",
    StateCategory.CLOSED: "closed",
    StateCategory.CANCELED: "canceled",
}


def letter_for(dispatch: Dispatch, tenant: Tenant) -> tuple[Letter, Actor] | None:
    """What shall be sent, and to whom; None after the ledger was told why not (or not now)."""
    reader = _reader(dispatch)
    if reader is None:
        return None
    now = clock.now()
    zone, wishes = reader.time_zone, _wishes(reader)
    if dispatch.notification is None:
        quiet = wishes.quiet_until(now, zone)
        if quiet is not None:
            ledger.hold(dispatch, "quiet_hours", quiet)
            return None
        return _digest(dispatch, tenant, reader)
    told = told_of(dispatch, reader, tenant)
    if told is None:
        return None
    page = told.topic.urgency == Urgency.PAGE
    quiet = wishes.quiet_until(now, zone)
    if quiet is not None and not (page and wishes.pages_in_quiet):
        ledger.hold(dispatch, "quiet_hours", quiet)
        return None
    free = _next_free(dispatch, now, MAILS_PER_HOUR * 3 if page else MAILS_PER_HOUR)
    if free is not None:
        ledger.hold(dispatch, "rate", free)
        return None
    return letters.write(told), reader


def told_of(dispatch: Dispatch, reader: Actor, tenant: Tenant) -> Told | None:
    """The notification as it may be told now; None after the ledger was told why not."""
    notification = dispatch.notification
    topic = TOPICS.get(notification.topic)
    reason, ticket = _why_not(topic, notification.event, reader)
    if topic is not None and not reason and not _wishes(reader).wants(topic, Channel.EMAIL):
        reason = "switched_off"
    if reason or topic is None:
        ledger.drop(dispatch, reason)
        return None
    return Told(notification, topic, notification.event, reader, tenant, ticket)


def over(topic: Topic, event: Event, ticket: Ticket | None) -> str:
    """Why an event needs nobody's attention any more; "" while it does."""
    if topic.urgency == Urgency.PAGE and ticket is not None and not ticket.is_open:
        return "merged" if ticket.duplicate_of_id else _ENDED[StateCategory(ticket.state_category)]
    return topic.over(event)


def _why_not(topic: Topic | None, event: Event, reader: Actor) -> tuple[str, Ticket | None]:
    if topic is None:
        return "unknown_topic", None
    ticket: Ticket | None = None
    if event.ticket_id is not None:
        seen = visible_to(reader, Ticket.objects.select_related("requester", "team", "service"))
        ticket = seen.filter(pk=event.ticket_id).first()
        if ticket is None or not may_read(reader, event):
            return "no_right", None
    return over(topic, event, ticket), ticket


def _wishes(reader: Actor) -> Wishes:
    return wishes_of_person(UUID(str(reader.person_id)))


def _reader(dispatch: Dispatch) -> Actor | None:
    """The person as an actor, with the address noted in the dispatch; None after the ledger was told why not."""
    person = dispatch.person
    reader = actor_of_person(UUID(str(dispatch.tenant_id)), person.pk) if person is not None else None
    reason = ""
    if reader is None:
        reason = "inactive"
    elif not person.email_key:
        reason = "no_address"
    elif not mail.usable(person.email_key):
        reason = "bad_address"
    elif not mail.leaves():
        reason = "no_mail_server"
    if reason:
        ledger.drop(dispatch, reason)
        return None
    dispatch.address = person.email_key
    return reader


def _digest(dispatch: Dispatch, tenant: Tenant, reader: Actor) -> tuple[Letter, Actor] | None:
    parts = []
    for part in ledger.parts_of(dispatch):
        told = told_of(part, reader, tenant)
        if told is not None:
            parts.append(told)
    if not parts:
        ledger.drop(dispatch, "nothing_left")
        return None
    return letters.write_digest(reader, tenant, parts), reader


def _next_free(dispatch: Dispatch, now: datetime, cap: int) -> datetime | None:
    """When this person may get the next mail about this ticket; None: now."""
    if dispatch.ticket_id is None or dispatch.person_id is None:
        return None
    left = Dispatch.objects.filter(
        person_id=dispatch.person_id,
        ticket_id=dispatch.ticket_id,
        channel=Channel.EMAIL,
        status=Status.SENT,
        digest__isnull=True,
        finished_at__gt=now - _HOUR,
    )
    times = list(left.order_by("-finished_at").values_list("finished_at", flat=True)[:cap])
    return times[-1] + _HOUR if len(times) == cap else None
