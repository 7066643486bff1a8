"""From a sealed event to who is told of it, and through which channels. The consumer ``notify.plan``.

Nothing leaves here: planning writes rows in the relay's transaction, and may run any number of times for one event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from itsm.access.actors import actor_of_person
from itsm.access.decide import allows, visible_to
from itsm.events.kinds import current
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.ids import new_id
from itsm.notify import endpoints
from itsm.notify.models import Channel, Digest, Dispatch, Notification, Status, Urgency
from itsm.notify.topics import Topic, of_kind
from itsm.notify.wishes import Wishes, wishes_of
from itsm.tenancy.context import current_tenant_id
from itsm.tickets.models import Audience, Ticket
from itsm.tickets.timeline import audience_of

#: Planned later than this after the event, what is not urgent goes out together: the relay is catching up.
LATE = timedelta(hours=1)
#: How long late ones wait for each other.
GATHER = timedelta(minutes=5)
#: Older than this, an event is history: nobody is told (a seed, a log that was imported row by row, a long outage).
HISTORY = timedelta(days=7)
#: Jobs of the product that write what happened elsewhere, long ago.
SILENT_JOBS = frozenset({"import"})

#: Asks a worker to send what is due for this tenant. Set in config/wiring.py; the sweep does not need it.
wake_sender: list[Callable[[UUID], Any]] = []


def plan(event: Event) -> None:
    """Write the notifications of an event and what shall leave for them. Idempotent by (event, person)."""
    now = clock.now()
    if now - event.occurred_at > HISTORY or event.actor_label in SILENT_JOBS or event.kind == "incident.imported":
        return
    reasons = _reasons(event)
    dispatches = [*_for_people(event, reasons, now), *endpoints.plan(event, now)]
    Dispatch.objects.bulk_create(dispatches, ignore_conflicts=True)
    tenant_id = current_tenant_id()
    if tenant_id is not None and any(one.status == Status.PLANNED for one in dispatches):
        for wake in wake_sender:
            transaction.on_commit(partial(wake, tenant_id), robust=True)


def _reasons(event: Event) -> dict[UUID, list[Topic]]:
    """Whom the event concerns, and why, the strongest reason first. Nobody is told of his own doing."""
    found: dict[UUID, list[Topic]] = {}
    for topic in of_kind(event.kind):
        for person in topic.recipients(event):
            if person is not None and person != event.actor_id:
                topics = found.setdefault(person, [])
                if topic not in topics:
                    topics.append(topic)
    return found


def _for_people(event: Event, reasons: Mapping[UUID, list[Topic]], now: datetime) -> Iterable[Dispatch]:
    if not reasons:
        return []
    told = set(Notification.objects.filter(event_id=event.pk).values_list("person_id", flat=True))
    new = [person for person in reasons if person not in told]
    wishes = wishes_of(new)
    wanted = {person: _first_wanted(wishes[person], reasons[person]) for person in new}
    # Whoever has switched all of it off leaves no row behind: a large team would leave one for each of its members.
    planned = [_Plan(event, person, topic, wishes[person], now) for person, topic in wanted.items() if topic]
    Notification.objects.bulk_create([one.notification for one in planned], ignore_conflicts=True)
    # Only what was really written: another run may have planned the same event just now.
    kept = set(
        Notification.objects.filter(pk__in=[one.notification.pk for one in planned]).values_list("pk", flat=True)
    )
    return [one.dispatch for one in planned if one.dispatch is not None and one.notification.pk in kept]


class _Plan:
    """What one person gets of one event."""

    def __init__(self, event: Event, person_id: UUID, topic: Topic, wishes: Wishes, now: datetime) -> None:
        self.event, self.person_id, self.topic, self.wishes, self.now = event, person_id, topic, wishes, now
        actor = actor_of_person(UUID(str(event.tenant_id)), person_id)
        refused = "inactive" if actor is None else "" if may_read(actor, event) else "no_right"
        self.notification = Notification(
            pk=new_id(),
            tenant_id=event.tenant_id,
            person_id=person_id,
            event_id=event.pk,
            ticket_id=event.ticket_id,
            topic=self.topic.key,
            urgency=self.topic.urgency,
            in_inbox=not refused and wishes.wants(self.topic, Channel.INBOX),
            created_at=now,
        )
        self.dispatch = self._dispatch(actor.time_zone if actor else "UTC", refused)

    def _dispatch(self, zone: str, refused: str) -> Dispatch | None:
        if not refused and not self.wishes.wants(self.topic, Channel.EMAIL):
            return None
        dispatch = Dispatch(
            tenant_id=self.event.tenant_id,
            key=f"email:{self.notification.pk}",
            channel=Channel.EMAIL,
            notification_id=self.notification.pk,
            person_id=self.person_id,
            ticket_id=self.event.ticket_id,
            created_at=self.now,
            available_at=self.now,
        )
        if refused:
            dispatch.status, dispatch.reason = Status.DROPPED, refused
            dispatch.available_at, dispatch.finished_at = None, self.now
            return dispatch
        if held := held_until(self.topic.urgency, self.wishes, zone, self.event.occurred_at, self.now):
            dispatch.status = Status.HELD
            dispatch.reason, dispatch.available_at = held
        return dispatch


def _first_wanted(wishes: Wishes, topics: list[Topic]) -> Topic | None:
    return next((one for one in topics if any(wishes.wants(one, way) for way in (Channel.INBOX, Channel.EMAIL))), None)


def held_until(
    urgency: str, wishes: Wishes, zone: str, occurred_at: datetime, now: datetime
) -> tuple[str, datetime] | None:
    """Why, and until when, a message waits to be joined with others; None when it leaves at once."""
    quiet = wishes.quiet_until(now, zone)
    if urgency == Urgency.PAGE:
        return ("quiet_hours", quiet) if quiet and not wishes.pages_in_quiet else None
    waits = []
    if wishes.digest != Digest.OFF:
        waits.append(("digest", wishes.next_digest(now, zone)))
    elif urgency == Urgency.DIGEST:
        waits.append(("digest", now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)))
    elif now - occurred_at > LATE:
        waits.append(("late", now + GATHER))
    if quiet:
        waits.append(("quiet_hours", quiet))
    return max(waits, key=lambda one: one[1]) if waits else None


def may_read(actor: Actor, event: Event) -> bool:
    """Whether the person may read of this event: sees its ticket, and notes if it tells of one."""
    if event.ticket_id is None:
        return True
    ticket: Ticket | None = visible_to(actor, Ticket.objects.filter(pk=event.ticket_id)).first()
    if ticket is None:
        return False
    public = audience_of(event.kind, current(event.kind, event.version, event.payload)) == Audience.PUBLIC
    return public or allows(actor, "ticket.read_internal", ticket)
