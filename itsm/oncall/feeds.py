"""What calendar programs fetch: whose address it is, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from itsm.access.actors import actor_of_person, secret_hash
from itsm.access.decide import allows
from itsm.kernel import clock
from itsm.kernel.actor import Actor, ActorKind
from itsm.kernel.errors import NotFound
from itsm.oncall.calendar_out import write_calendar
from itsm.oncall.models import OnCallFeed
from itsm.oncall.schedules import plans, visible_schedules

BEFORE: Final = timedelta(days=14)
AFTER: Final = timedelta(days=92)
SCOPE: Final = "oncall:read"


def actor_of_feed(tenant_id: UUID, secret: str) -> Actor | None:
    """The person who made this address, able to read on-call schedules and nothing else.

    None when there is no such address, when it was revoked, or when its maker can act no more. Asked on every fetch.
    """
    feed = _feed(tenant_id, secret)
    actor = None if feed is None else actor_of_person(tenant_id, feed.person_id)
    if feed is None or actor is None:
        return None
    return replace(actor, kind=ActorKind.TOKEN, token_id=feed.pk, scopes=frozenset({SCOPE}))


def feed_content(actor: Actor) -> tuple[str, bytes]:
    """The file name and the calendar of the feed that ``actor`` came in by. Raises NotFound, also without the right."""
    feed = OnCallFeed.objects.filter(
        tenant_id=actor.tenant_id, pk__in=[actor.token_id], revoked_at__isnull=True
    ).first()
    # Not Forbidden, which is recorded: a program asks again every few minutes, for ever.
    if feed is None or not allows(actor, "oncall.read"):
        raise NotFound
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    rows = visible_schedules(actor).filter(is_active=True).order_by("name")
    if feed.schedule_id is not None:
        rows = rows.filter(pk=feed.schedule_id)
    found = plans(rows, now - BEFORE)
    if feed.schedule_id is not None and not found:
        raise NotFound
    own = feed.schedule_id is None
    name = _("My on-call shifts") if own else found[0].schedule.name
    content = write_calendar(name, found, now - BEFORE, now + AFTER, person=actor.person_id if own else None)
    return ("my-shifts.ics" if own else "on-call.ics"), content


def _feed(tenant_id: UUID, secret: str) -> OnCallFeed | None:
    if not (0 < len(secret) <= 100 and secret.isascii()):
        return None
    rows = OnCallFeed.objects.filter(tenant_id=tenant_id, secret_hash=secret_hash(secret), revoked_at__isnull=True)
    found: OnCallFeed | None = rows.first()
    return found
