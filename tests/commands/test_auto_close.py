"""Resolved incidents close by themselves, counted from resolving; nothing else moves the date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError

from incidents import auto_close, commands, tasks
from incidents.auto_close import close_due
from incidents.tasks import auto_close_all
from itsm.events.bus import wiring
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import IllegalTransition, Violation
from itsm.tickets.commands import comment_on_ticket
from itsm.tickets.commands.configuration import update_settings
from itsm.tickets.models import Ticket
from tests.factories import Desk

RESOLVED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def resolved(desk: Desk) -> Ticket:
    with clock.at(RESOLVED):
        ticket = desk.incident()
        commands.resolve_incident(
            actor=desk.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="done"
        )
    return ticket


def test_closes_on_the_day_and_not_a_second_before(acme: Desk) -> None:
    ticket = resolved(acme)
    with clock.at(RESOLVED + timedelta(days=7, seconds=-1)):
        assert close_due(acme.tenant.pk) == 0
    with clock.at(RESOLVED + timedelta(days=7)):
        assert close_due(acme.tenant.pk) == 1
        assert close_due(acme.tenant.pk) == 0
    with acme.inside():
        ticket.refresh_from_db()
        closed = Event.objects.get(ticket_id=ticket.pk, kind="incident.closed")
    assert (ticket.state, ticket.closed_at) == (7, RESOLVED + timedelta(days=7))
    assert (closed.actor_kind, closed.actor_label) == ("system", "auto_close")


def test_a_comment_does_not_move_the_date(acme: Desk) -> None:
    ticket = resolved(acme)
    with clock.at(RESOLVED + timedelta(days=6)):
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body="Thank you!")
    with clock.at(RESOLVED + timedelta(days=7)):
        assert close_due(acme.tenant.pk) == 1


def test_reopening_starts_anew(acme: Desk) -> None:
    ticket = resolved(acme)
    with clock.at(RESOLVED + timedelta(days=5)):
        commands.reopen_incident(actor=acme.actor("requester"), ticket_id=ticket.pk, reason="It is back")
        commands.resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="again"
        )
    with clock.at(RESOLVED + timedelta(days=7)):
        assert close_due(acme.tenant.pk) == 0
    with clock.at(RESOLVED + timedelta(days=12)):
        assert close_due(acme.tenant.pk) == 1


def test_zero_days_never_closes(acme: Desk) -> None:
    resolved(acme)
    update_settings(actor=acme.actor("admin"), auto_close_days=0)
    with clock.at(RESOLVED + timedelta(days=400)):
        assert close_due(acme.tenant.pk) == 0


def test_the_task_closes_every_tenants_own(acme: Desk, globex: Desk) -> None:
    first, second = resolved(acme), resolved(globex)
    update_settings(actor=globex.actor("admin"), auto_close_days=30)
    with clock.at(RESOLVED + timedelta(days=8)):
        assert auto_close_all() == 1
    with acme.inside():
        assert Ticket.objects.get(pk=first.pk).state == 7
    with globex.inside():
        assert Ticket.objects.get(pk=second.pk).state == 6


def test_the_reopen_window_ends(acme: Desk) -> None:
    ticket = resolved(acme)
    update_settings(actor=acme.actor("admin"), reopen_days=3)
    with clock.at(RESOLVED + timedelta(days=3, seconds=1)), pytest.raises(IllegalTransition, match="more than 3 days"):
        commands.reopen_incident(actor=acme.actor("requester"), ticket_id=ticket.pk, reason="It is back")
    with clock.at(RESOLVED + timedelta(days=3)):
        commands.reopen_incident(actor=acme.actor("requester"), ticket_id=ticket.pk, reason="It is back")
    with acme.inside():
        ticket.refresh_from_db()
    assert (ticket.state, ticket.reopen_count, ticket.resolved_at) == (2, 1, None)


def test_resolved_again_meanwhile_is_not_closed_early(acme: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = resolved(acme)
    agent, close = acme.actor("agent"), commands.close_incident

    def after_a_change(**given: Any) -> Ticket:
        commands.reopen_incident(actor=agent, ticket_id=ticket.pk, reason="again")
        commands.resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="done")
        return close(**given)

    monkeypatch.setattr(auto_close, "close_incident", after_a_change)
    with clock.at(RESOLVED + timedelta(days=7)):
        assert close_due(acme.tenant.pk) == 0
    with acme.inside():
        ticket.refresh_from_db()
    assert (ticket.state, ticket.reopen_count) == (6, 1)


def test_refused_ones_hide_no_others_and_are_recorded_once(acme: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, free = [resolved(acme) for _ in range(3)], resolved(acme)

    def guard(*, action: str, subject: Ticket, **_: Any) -> list[Violation]:
        mine = action == "incident.close" and subject.pk in {ticket.pk for ticket in refused}
        return [Violation("keep", "Olga", "Not yet.", "Wait.")] if mine else []

    monkeypatch.setattr(auto_close, "BATCH", 1)
    monkeypatch.setattr(wiring, "guards", [guard])

    def recorded() -> list[str]:
        with acme.inside():
            found = Event.objects.filter(kind="access.refused", actor_label="auto_close").order_by("occurred_at", "pk")
            return [event.payload["subject"] for event in found]

    with clock.at(RESOLVED + timedelta(days=7)):
        assert close_due(acme.tenant.pk) == 1
    with clock.at(RESOLVED + timedelta(days=8)):
        assert close_due(acme.tenant.pk) == 0
    assert recorded() == [str(ticket.pk) for ticket in refused]
    with acme.inside():
        free.refresh_from_db()
        assert (free.state, Ticket.objects.get(pk=refused[0].pk).state) == (7, 6)
    with clock.at(RESOLVED + timedelta(days=9)):
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=refused[0].pk, body="Thank you!")
    with clock.at(RESOLVED + timedelta(days=10)):
        assert close_due(acme.tenant.pk) == 0
    assert recorded() == [str(ticket.pk) for ticket in (*refused, refused[0])], "changed, so asked anew"


def test_one_tenants_trouble_does_not_stop_the_others(
    acme: Desk, globex: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = resolved(acme), resolved(globex)
    due = close_due

    def trouble(tenant_id: UUID) -> int:
        if tenant_id == acme.tenant.pk:
            raise OperationalError("deadlock detected")
        return due(tenant_id)

    monkeypatch.setattr(tasks, "close_due", trouble)
    with clock.at(RESOLVED + timedelta(days=7)):
        assert auto_close_all() == 1
    for desk, ticket, state in ((acme, ours, 6), (globex, theirs, 7)):
        with desk.inside():
            ticket.refresh_from_db()
        assert ticket.state == state
