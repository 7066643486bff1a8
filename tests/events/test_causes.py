"""Causes, refusals and times: what an event says beside what happened."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from incidents.commands import start_incident
from itsm.events.bus import Consumer, wiring
from itsm.events.kinds import UnknownKind, WrongPayload
from itsm.events.models import Delivery, Event, Outbox
from itsm.events.relay import relay
from itsm.events.write import MAX_DEPTH, UnitOfWork, record_refusal, unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Forbidden, IllegalTransition, NotFound
from itsm.tickets.commands import comment_on_ticket
from itsm.tickets.models import Comment, Ticket
from tests.factories import Desk


@pytest.fixture
def wires() -> Any:
    """The wiring, which a test may change; put back afterwards."""
    subscribers, rules, consumers = list(wiring.subscribers), list(wiring.rules), dict(wiring.consumers)
    yield wiring
    wiring.subscribers[:] = subscribers
    wiring.rules[:] = rules
    wiring.consumers.clear()
    wiring.consumers.update(consumers)


def echo(work: UnitOfWork, event: Event) -> None:
    """A rule that reacts to itself."""
    system = Actor.system(work.actor.tenant_id, "echo")
    comment_on_ticket(actor=system, ticket_id=event.ticket_id, body=f"echo {event.depth}", cause=event)  # type: ignore[arg-type]


def test_a_chain_of_reactions_ends_and_the_users_change_stands(
    inside: Desk, wires: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = inside.incident()
    wires.subscribe(("ticket.commented",), echo)
    with caplog.at_level(logging.ERROR, logger="itsm.events.write"):
        comment = comment_on_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, body="hello")
    assert Comment.objects.get(pk=comment.pk).body == "hello"
    chain = list(Event.objects.filter(kind="ticket.commented").order_by("sequence"))
    assert [event.depth for event in chain] == list(range(MAX_DEPTH + 1))
    assert [event.cause_id for event in chain] == [None, *(event.pk for event in chain[:-1])]
    assert Comment.objects.count() == MAX_DEPTH + 1
    stopped = Event.objects.get(kind="reaction.stopped")
    assert stopped.payload == {"reaction": f"{__name__}.echo", "event": str(chain[-1].pk), "depth": MAX_DEPTH}
    assert [record.levelname for record in caplog.records if "stopped at depth 8" in record.message] == ["ERROR"]


def test_a_rule_does_not_run_again_within_its_own_chain(inside: Desk, wires: Any) -> None:
    """Two rules that answer each other end at once, for this ticket; another ticket has its own turn."""
    first, second = inside.incident(), inside.incident()
    other = {first.pk: second.pk, second.pk: first.pk}

    def across(work: UnitOfWork, event: Event) -> None:
        system = Actor.system(work.actor.tenant_id, "across")
        comment_on_ticket(actor=system, ticket_id=other[event.ticket_id], body="over there", cause=event)  # type: ignore[index]

    wires.react(("ticket.commented",), across)
    comment_on_ticket(actor=inside.actor("agent"), ticket_id=first.pk, body="hello")
    chain = list(Event.objects.filter(kind="ticket.commented").order_by("depth").values_list("ticket_id", "depth"))
    assert chain == [(first.pk, 0), (second.pk, 1), (first.pk, 2)]
    assert not Event.objects.filter(kind="reaction.stopped").exists()


def test_other_reactions_at_the_cap_still_run(inside: Desk, wires: Any) -> None:
    """A counter emits nothing; the cap is about changes that go on causing changes."""
    ticket, counted = inside.incident(), []
    wires.subscribe(("ticket.commented",), echo)
    wires.subscribe(("ticket.commented",), lambda work, event: counted.append(event.depth))
    comment_on_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, body="hello")
    assert sorted(counted) == list(range(MAX_DEPTH + 1))


def test_a_consumer_at_the_cap_is_recorded_and_not_tried_again(inside: Desk, wires: Any) -> None:
    ticket = inside.incident()
    wires.consumers.clear()

    def react(event: Event) -> None:
        system = Actor.system(event.tenant_id, "react")  # type: ignore[arg-type]
        comment_on_ticket(actor=system, ticket_id=event.ticket_id, body="again", cause=event)  # type: ignore[arg-type]

    wires.consume(Consumer("reactor", ("ticket.commented",), react))
    comment_on_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, body="hello")
    for _ in range(MAX_DEPTH + 3):
        relay(inside.tenant.pk)
    assert Comment.objects.count() == MAX_DEPTH + 1
    assert Event.objects.filter(kind="reaction.stopped").count() == 1
    assert set(Delivery.objects.values_list("consumer", "status")) == {("reactor", "done")}
    assert not Outbox.objects.exists()


def test_a_refusal_is_recorded_once_and_changes_nothing_else(inside: Desk) -> None:
    ticket = inside.incident()
    actor = inside.actor("requester")
    before = (Ticket.objects.get(pk=ticket.pk).version, Event.objects.count())
    for error in _refused(actor, ticket):
        record_refusal(actor, error, "POST incidents/start")
    refused = list(Event.objects.filter(kind="access.refused").order_by("pk"))
    assert [event.payload["code"] for event in refused] == ["forbidden", "illegal_transition"]
    assert refused[0].payload == {
        "action": "POST incidents/start",
        "code": "forbidden",
        "subject": str(ticket.pk),
        "context": {"permission": "incident.start"},
    }
    assert refused[1].payload["context"]["state"] == "new"
    assert {event.ticket_id for event in refused} == {None}
    assert (Ticket.objects.get(pk=ticket.pk).version, Event.objects.count() - 2) == before
    # What is not there, or not visible, leaves no trace of having been looked for.
    record_refusal(actor, NotFound(), "GET incidents")
    assert Event.objects.filter(kind="access.refused").count() == 2


def _refused(actor: Actor, ticket: Ticket) -> list[Any]:
    from incidents.commands import reopen_incident

    errors: list[Any] = []
    with pytest.raises(Forbidden) as forbidden, transaction.atomic():
        start_incident(actor=actor, ticket_id=ticket.pk)
    errors.append(forbidden.value)
    with pytest.raises(IllegalTransition) as illegal, transaction.atomic():
        reopen_incident(actor=actor, ticket_id=ticket.pk, reason="x")
    errors.append(illegal.value)
    return errors


def test_occurred_is_the_virtual_clock_and_recorded_is_the_wall(inside: Desk) -> None:
    then = datetime(2020, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)
    begun = datetime.now(UTC)
    with clock.at(then):
        ticket = inside.incident()
    event = Event.objects.get(ticket_id=ticket.pk)
    assert (event.occurred_at, ticket.opened_at) == (then, then)
    assert begun <= event.recorded_at <= begun + timedelta(minutes=1)
    with pytest.raises(ValueError, match="aware"), clock.at(datetime(2020, 1, 1)):  # noqa: DTZ001 - that is the point
        pytest.fail("a naive instant was accepted")


def test_the_log_takes_declared_kinds_only(inside: Desk) -> None:
    for error, kind, payload in (
        (UnknownKind, "made.up", {}),
        (WrongPayload, "team.created", {}),
        (WrongPayload, "team.created", {"team": 1, "name": "free text"}),
    ):
        with pytest.raises(error), unit_of_work(inside.system) as work:
            work.emit(kind, **payload)
    with pytest.raises(WrongPayload), unit_of_work(inside.system) as work:
        work.emit("team.created", team=1, texts={"name": "x"})
    assert not Event.objects.filter(kind="made.up").exists()


def test_request_and_actor_are_in_the_event(inside: Desk) -> None:
    from dataclasses import replace

    actor = replace(inside.actor("agent"), request_id="req-12345678")
    ticket = inside.incident()
    start_incident(actor=actor, ticket_id=ticket.pk)
    event = Event.objects.get(kind="incident.started")
    assert (event.request_id, event.actor_kind, event.actor_id, event.actor_label) == (
        "req-12345678", "person", actor.person_id, "",
    )  # fmt: skip
    opened_by_job = Event.objects.filter(actor_kind="system").first()
    assert opened_by_job is not None
    assert (opened_by_job.actor_id, opened_by_job.actor_label != "") == (None, True)
