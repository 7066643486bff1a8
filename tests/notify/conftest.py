"""Fixtures of notifications: a desk whose events are relayed and sent at will."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail

from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.notify import topics
from itsm.notify.models import Dispatch, Notification
from itsm.notify.sending import send_due
from tests.factories import Desk

NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon() -> Iterator[datetime]:
    """A working day at noon, so that no test depends on the hour in which it runs."""
    with clock.at(NOON):
        yield NOON


@pytest.fixture
def deliver(acme: Desk) -> Callable[[], list[Any]]:
    """Relay and send everything that is due; answers the mails that left by it."""

    def run() -> list[Any]:
        before = len(mail.outbox)
        relay(acme.tenant.pk)
        send_due(acme.tenant.pk)
        return mail.outbox[before:]

    return run


@pytest.fixture
def registry() -> Iterator[dict[str, topics.Topic]]:
    """The topics, given back as they were."""
    before = dict(topics.TOPICS)
    yield topics.TOPICS
    topics.TOPICS.clear()
    topics.TOPICS.update(before)


def told(desk: Desk) -> set[tuple[str, str]]:
    """(who, why) of every notification."""
    names = {person.pk: name for name, person in desk.people.items()}
    with desk.inside():
        return {(names[person], topic) for person, topic in Notification.objects.values_list("person_id", "topic")}


def ledger(desk: Desk) -> list[tuple[str, str, str]]:
    """(who, status, reason) of every mail in the ledger, in the order of planning."""
    names = {person.pk: name for name, person in desk.people.items()}
    with desk.inside():
        rows = Dispatch.objects.filter(channel="email").order_by("created_at", "pk")
        return [(names[row.person_id], row.status, row.reason) for row in rows]
