"""Many writers, one sealer: nobody waits for another ticket, and the feed has no gap, no double and no disorder."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from incidents.commands import start_incident
from itsm.events import relay as relay_module
from itsm.events.bus import Consumer, wiring
from itsm.events.delivery import MAX_ATTEMPTS, deliver_due
from itsm.events.models import Delivery, Event, FeedEntry, FeedHead, Outbox, Seal
from itsm.events.relay import relay, tenants_with_work
from itsm.events.tasks import relay_all
from itsm.events.verify import verify
from itsm.events.write import unit_of_work
from itsm.kernel import clock
from itsm.tickets.commands import comment_on_ticket
from itsm.tickets.models import Ticket
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk

#: How long the slow transaction holds everything that it has locked.
HELD = 3.0


def feed(desk: Desk) -> list[tuple[int, UUID | None, int]]:
    with desk.inside():
        return list(
            FeedEntry.objects.order_by("position").values_list("position", "event__ticket_id", "event__sequence")
        )


def assert_feed_is_sound(desk: Desk) -> None:
    """Positions without a gap, every event once, and each ticket's events in their order."""
    entries = feed(desk)
    assert [position for position, _, _ in entries] == list(range(1, len(entries) + 1))
    last: dict[Any, int] = {}
    for _, ticket_id, sequence in entries:
        if ticket_id is not None:
            assert sequence == last.get(ticket_id, 0) + 1
            last[ticket_id] = sequence
    with desk.inside():
        assert len(entries) == Event.objects.count()
        assert not Outbox.objects.exists()
    assert verify(desk.tenant.pk).breaks == []


def test_no_write_waits_for_another_ticket(committed_db: CommittedDatabase, record_property: Any) -> None:
    """8 writers in one tenant on 8 tickets while a ninth holds its transaction open and the relay seals."""
    desk = make_desk("acme")
    tickets = [desk.incident() for _ in range(9)]
    agent = desk.actor("agent")
    relay(desk.tenant.pk)
    holding, released = threading.Event(), threading.Event()
    waits: list[float] = []
    relays: list[float] = []

    def hold() -> None:
        with unit_of_work(agent):
            comment_on_ticket(actor=agent, ticket_id=tickets[8].pk, body="slow")
            # A new ticket in the same open transaction: even the numbers are no bottleneck.
            desk.incident(by="colleague", title="slow")
            holding.set()
            time.sleep(HELD)
        released.set()

    def write(ticket: Ticket) -> None:
        holding.wait()
        for turn in range(10):
            begun = time.monotonic()
            comment_on_ticket(actor=agent, ticket_id=ticket.pk, body=f"turn {turn}")
            if turn % 5 == 0:
                desk.incident(title="another number")
            waits.append(time.monotonic() - begun)

    def seal() -> None:
        holding.wait()
        while not released.is_set():
            begun = time.monotonic()
            relay(desk.tenant.pk)
            relays.append(time.monotonic() - begun)
            time.sleep(0.05)

    committed_db.thread(hold)
    writers = [committed_db.thread(lambda t=ticket: write(t)) for ticket in tickets[:8]]  # type: ignore[misc]
    committed_db.thread(seal)
    begun = time.monotonic()
    for writer in writers:
        writer.join(30)
    took = time.monotonic() - begun
    assert not released.is_set(), f"the writers ended after the slow transaction: {took:.2f} s"
    assert len(waits) == 80
    record_property("slowest_write_seconds", round(max(waits), 3))
    record_property("slowest_relay_seconds", round(max(relays), 3))
    # Far below the time for which the slow one held its locks; on two busy cores, not a benchmark.
    assert max(waits) < HELD / 2
    committed_db.join()
    relay(desk.tenant.pk)
    assert_feed_is_sound(desk)


def test_a_commit_is_sealed_within_two_seconds(committed_db: CommittedDatabase) -> None:
    """Under the sweep alone, once a second as beat starts it, with writers at work."""
    desk = make_desk("acme")
    ticket, agent = desk.incident(), desk.actor("agent")
    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            relay_all()
            time.sleep(1.0)

    committed_db.thread(sweep)
    try:
        delays = []
        for _ in range(4):
            comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="x")
            begun = time.monotonic()
            while True:
                with desk.inside():
                    if not Outbox.objects.exists():
                        break
                assert time.monotonic() - begun < 5, "not sealed"
                time.sleep(0.02)
            delays.append(time.monotonic() - begun)
    finally:
        stop.set()
    committed_db.join()
    assert max(delays) < 2.0, delays
    assert_feed_is_sound(desk)


def test_interleaved_commits_keep_each_tickets_order(committed_db: CommittedDatabase) -> None:
    """Writers share tickets and end in any order while two relays seal at the same time."""
    desk = make_desk("acme")
    tickets = [desk.incident() for _ in range(3)]
    actors = [desk.actor(name) for name in ("agent", "manager", "hr", "owner")]
    writing = threading.Event()

    def write(number: int) -> None:
        for turn in range(12):
            with unit_of_work(actors[number]):
                comment_on_ticket(actor=actors[number], ticket_id=tickets[(number + turn) % 3].pk, body="x")
                # Ids are taken here, and committed in another order.
                time.sleep(0.003 * ((number * 7 + turn) % 4))

    def seal() -> None:
        while not writing.is_set():
            relay(desk.tenant.pk)

    writers = [committed_db.thread(lambda n=n: write(n)) for n in range(4)]  # type: ignore[misc]
    for _ in range(2):
        committed_db.thread(seal)
    for writer in writers:
        writer.join(60)
    writing.set()
    committed_db.join()
    relay(desk.tenant.pk)
    assert_feed_is_sound(desk)
    with desk.inside():
        for ticket in tickets:
            sequences = list(
                Event.objects.filter(ticket_id=ticket.pk).order_by("sequence").values_list("sequence", flat=True)
            )
            assert sequences == list(range(1, len(sequences) + 1))
        seals = list(Seal.objects.order_by("batch").values_list("batch", "first_position", "last_position"))
        assert [batch for batch, _, _ in seals] == list(range(1, len(seals) + 1))
        assert all(before[2] + 1 == after[1] for before, after in pairwise(seals))


def test_a_second_relay_steps_aside(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    locked, done = threading.Event(), threading.Event()

    def first() -> None:
        with desk.inside():
            FeedHead.objects.select_for_update().get()
            locked.set()
            done.wait(20)

    committed_db.thread(first)
    locked.wait(20)
    begun = time.monotonic()
    assert relay(desk.tenant.pk) == 0
    assert time.monotonic() - begun < 1
    done.set()
    committed_db.join()
    assert relay(desk.tenant.pk) > 0


@pytest.fixture
def consumers() -> Any:
    """The wired consumers, which a test may change; put back afterwards."""
    before = dict(wiring.consumers)
    yield wiring.consumers
    wiring.consumers.clear()
    wiring.consumers.update(before)


def test_a_poisoned_consumer_dies_and_the_others_go_on(committed_db: CommittedDatabase, consumers: Any) -> None:
    desk, got = make_desk("acme"), []

    def poison(event: Event) -> None:
        raise ValueError("I cannot stand \x00 this")

    consumers.clear()
    wiring.consume(Consumer("a.poison", ("ticket.",), poison))
    wiring.consume(Consumer("b.healthy", ("ticket.",), lambda event: got.append(event.pk)))
    ticket = desk.incident()
    comment_on_ticket(actor=desk.actor("agent"), ticket_id=ticket.pk, body="x")
    start = clock.now()
    relay(desk.tenant.pk)
    assert len(got) == 1
    for _ in range(MAX_ATTEMPTS + 3):
        start += timedelta(hours=1)
        with clock.at(start):
            deliver_due(desk.tenant.pk)
    with desk.inside():
        dead = Delivery.objects.get(consumer="a.poison")
        assert (dead.status, dead.attempts) == ("dead", MAX_ATTEMPTS)
        assert dead.error == "ValueError: I cannot stand  this"
        assert Delivery.objects.get(consumer="b.healthy").status == "done"
    assert len(got) == 1


def test_a_consumer_that_loses_the_connection_is_counted_too(committed_db: CommittedDatabase, consumers: Any) -> None:
    """It takes the whole batch's transaction with it; the others are delivered nevertheless, and it dies in time."""
    from django.db import connection

    desk, got = make_desk("acme"), []

    def murder(event: Event) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    consumers.clear()
    wiring.consume(Consumer("a.murder", ("ticket.",), murder))
    wiring.consume(Consumer("b.healthy", ("ticket.",), lambda event: got.append(event.pk)))
    ticket = desk.incident()
    comment_on_ticket(actor=desk.actor("agent"), ticket_id=ticket.pk, body="x")
    relay(desk.tenant.pk)
    with desk.inside():
        assert dict(Delivery.objects.values_list("consumer", "attempts")) == {"a.murder": 1, "b.healthy": 1}
        assert Delivery.objects.get(consumer="b.healthy").status == "done"
        assert Delivery.objects.get(consumer="a.murder").status == "pending"
    assert len(got) == 1


def test_a_consumer_gets_only_what_comes_after_it_was_switched_on(
    committed_db: CommittedDatabase, consumers: Any
) -> None:
    desk, got = make_desk("acme"), []
    ticket, agent = desk.incident(), desk.actor("agent")
    relay(desk.tenant.pk)
    wiring.consume(Consumer("late", ("incident.",), lambda event: got.append(event.kind)))
    relay(desk.tenant.pk)
    assert got == []
    start_incident(actor=agent, ticket_id=ticket.pk)
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="not of this kind")
    relay(desk.tenant.pk)
    relay(desk.tenant.pk)
    assert got == ["incident.started"]


def test_a_crash_between_seal_and_delivery_loses_nothing(
    committed_db: CommittedDatabase, consumers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, got = make_desk("acme"), []
    consumers.clear()
    wiring.consume(Consumer("listener", ("incident.",), lambda event: got.append(event.kind)))
    desk.incident()

    def crash(*_: Any) -> int:
        raise SystemExit("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(relay_module, "deliver_due", crash)
        with pytest.raises(SystemExit):
            relay(desk.tenant.pk)
    assert got == []
    assert desk.tenant.pk in tenants_with_work()
    relay_all()
    assert got == ["incident.opened"]
    assert tenants_with_work() == []
    assert_feed_is_sound(desk)


def test_a_crash_while_sealing_seals_nothing_by_half(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk("acme")
    desk.incident()

    def crash(*_: Any, **__: Any) -> None:
        raise SystemExit("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Delivery.objects, "bulk_create", crash)
        with pytest.raises(SystemExit):
            relay(desk.tenant.pk)
    assert feed(desk) == []
    relay(desk.tenant.pk)
    assert_feed_is_sound(desk)


def test_one_tenants_trouble_does_not_starve_the_others(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from itsm.events import tasks

    ill, well = make_desk("acme"), make_desk("globex")
    real = tasks.relay

    def relay_or_fail(tenant_id: UUID) -> int:
        if tenant_id == ill.tenant.pk:
            raise RuntimeError("broken")
        return real(tenant_id)

    monkeypatch.setattr(tasks, "relay", relay_or_fail)
    assert relay_all() == 2
    assert_feed_is_sound(well)
    assert feed(ill) == []


@pytest.mark.parametrize("kind", ["refuses", "never answers"])
def test_a_dead_broker_costs_one_short_wait_and_no_event(
    committed_db: CommittedDatabase, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from config import celery

    desk, real = make_desk("acme"), celery.app.conf.broker_url
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if kind == "never answers":
            deaf.listen(8)
        monkeypatch.setattr(celery, "_silent_until", 0.0)
        monkeypatch.setattr(celery, "_silence", 5.0)
        monkeypatch.setattr(celery, "_woken", {})
        celery.app.conf.broker_url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        try:
            seconds = []
            for _ in range(3):
                begun = time.monotonic()
                desk.incident()
                seconds.append(time.monotonic() - begun)
        finally:
            celery.app.conf.broker_url = real
    assert seconds[0] < 3.0, seconds
    assert max(seconds[1:]) < 0.5, seconds
    assert celery._silence == 10.0
    relay_all()
    assert_feed_is_sound(desk)
