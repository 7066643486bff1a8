"""Addresses for calendar programs: made for oneself, shown once, ended at will."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from itsm.access.actors import secret_hash
from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.oncall.models import OnCallFeed
from itsm.oncall.schedules import visible_schedules
from itsm.tenancy.fetch import locked

FEEDS_MAX: Final = 20


def create_feed(*, actor: Actor, schedule_id: UUID | None = None) -> tuple[OnCallFeed, str]:
    """Make an address for a schedule, or (None) for the actor's own shifts; answers it with its secret, shown this once.

    A token makes none: it would leave something behind that outlives it.
    """
    with unit_of_work(actor) as work:
        authorize(actor, "oncall.read")
        if actor.person_id is None or actor.token_id is not None:
            raise Invalid.one("person", "required", "Only a person who is signed in can make a calendar address.")
        if schedule_id is not None and not visible_schedules(actor).filter(pk=schedule_id).exists():
            raise Invalid.one("schedule", "unknown_reference", "There is no on-call schedule with this id.")
        mine = OnCallFeed.objects.filter(tenant_id=actor.tenant_id, person_id=actor.person_id, revoked_at__isnull=True)
        if mine.count() >= FEEDS_MAX:
            raise Invalid.one("schedule", "too_many", f"You have {FEEDS_MAX} calendar addresses. Revoke one first.")
        secret = secrets.token_urlsafe(32)
        feed = OnCallFeed(
            tenant_id=actor.tenant_id,
            person_id=actor.person_id,
            schedule_id=schedule_id,
            prefix=secret[:6],
            secret_hash=secret_hash(secret),
            created_at=work.now,
        )
        work.add(feed)
        work.emit("oncall.feed_created", feed=feed.pk, person=actor.person_id, schedule=schedule_id)
    return feed, secret


def revoke_feed(*, actor: Actor, feed_id: UUID) -> None:
    """End an address, one's own or (with ``oncall.manage``) anybody's. It stops working at once.

    A token ends its maker's with ``oncall.swap``, so that one which only reads ends nothing.
    """
    with unit_of_work(actor) as work:
        feed = locked(OnCallFeed, actor.tenant_id, feed_id)
        if feed.person_id != actor.person_id:
            authorize(actor, "oncall.manage")
        elif actor.token_id is not None:
            authorize(actor, "oncall.swap")
        if feed.revoked_at is None:
            feed.revoked_at = work.now
            work.changed(feed, "revoked_at")
            work.emit("oncall.feed_revoked", feed=feed.pk, person=feed.person_id)
