"""The sweep in one process: what fires, once, in order; who is told; what stands in the way is stepped around."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from incidents.commands import hold_incident, resolve_incident
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.sla import clock as pure
from itsm.sla.audit import audit_all, overdue, sla_figures
from itsm.sla.book import terms_of
from itsm.sla.calendar import to_micros
from itsm.sla.fires import tell_all, tenants_with_fires
from itsm.sla.models import SlaClock, SlaFire, SlaPolicy
from itsm.sla.rows import computed
from itsm.sla.sweep import look, sweep
from itsm.tickets.commands import update_ticket
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.sla.desk import at, clocks, on, policy

pytestmark = pytest.mark.django_db


def told(desk: Desk, ticket: Ticket) -> list[tuple[str, str, list[str]]]:
    with desk.inside():
        return [
            (e.kind, e.payload["threshold"], e.payload["coalesced"])
            for e in Event.objects.filter(ticket_id=ticket.pk, kind__startswith="sla.").order_by("sequence")
        ]


def tell(now: datetime) -> int:
    with clock.at(now):
        return tell_all(now=now)


def test_each_threshold_fires_once_when_it_is_due_and_not_before(acme: Desk) -> None:
    policy(acme, "P", "resolution", targets=[{"target": "4h"}], thresholds=["50%", "75%", "100%"])
    with acme.inside():
        SlaPolicy.objects.filter(metric="response").update(is_active=False)
    with at(1, 10):
        ticket = acme.incident()
    assert sweep(on(1, 11, 59, 59)).fires == 0
    done = sweep(on(1, 12))
    assert (done.clocks, done.fires, done.fired, done.failed) == (1, 1, frozenset({acme.tenant.pk}), 0)
    for _ in range(50):
        assert sweep(on(1, 12, 30)).fires == 0, "pain 5: a tick is no reason to tell again"
    assert (sweep(on(1, 13)).fires, sweep(on(1, 14)).fires, sweep(on(9, 0)).fires) == (1, 1, 0)
    with acme.inside():
        row = SlaClock.objects.get(ticket_id=ticket.pk)
        assert (row.next_due_at, row.step_due, sorted(row.fired)) == (None, [None, None, None], [0, 1, 2])
        assert [(f.step, f.due_at, f.coalesced) for f in SlaFire.objects.order_by("id")] == [
            (0, on(1, 12), False), (1, on(1, 13), False), (2, on(1, 14), False),
        ]  # fmt: skip
    # Found at the deadline itself: nothing is due any more that would make a later sweep note it.
    assert row.breached_at == on(1, 14)
    with acme.inside():
        assert overdue(on(9, 0)) == []
    assert tell(on(1, 14)) == 3
    assert told(acme, ticket) == [
        ("sla.threshold_reached", "50%", []), ("sla.threshold_reached", "75%", []), ("sla.breached", "100%", []),
    ]  # fmt: skip
    assert (tell(on(1, 15)), tenants_with_fires(on(9, 0))) == (0, [])


def test_work_done_at_the_very_deadline_is_met_although_the_sweep_was_faster(acme: Desk) -> None:
    policy(acme, "P", "resolution", targets=[{"target": "4h"}], thresholds=["100%"])
    with at(1, 10):
        ticket = acme.incident()
    assert sweep(on(1, 14)).fires > 0
    assert clocks(acme, ticket)["resolution"].breached_at == on(1, 14)
    with at(1, 14):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    row = clocks(acme, ticket)["resolution"]
    assert (row.state, row.breached_at, row.elapsed) == ("met", None, 4 * 3600 * 10**6)


def test_after_an_outage_the_last_one_speaks_and_the_breach_is_when_it_was(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    done = sweep(on(3, 0))
    assert (done.clocks, done.fires) == (2, 8)
    rows = clocks(acme, ticket)
    assert {m: row.breached_at for m, row in rows.items()} == {"response": on(1, 10, 15), "resolution": on(1, 14)}
    with acme.inside():
        assert SlaFire.objects.filter(coalesced=False).count() == 2
        per_clock: dict[Any, list[datetime]] = {}
        for fire in SlaFire.objects.order_by("id"):
            per_clock.setdefault(fire.clock_id, []).append(fire.due_at)
    assert all(times == sorted(times) for times in per_clock.values())
    tell(on(3, 0))
    assert told(acme, ticket) == [("sla.breached", "100%", ["50%", "75%", "90%"])] * 2


def test_nothing_fires_while_it_waits_however_long(acme: Desk) -> None:
    """Pain 3."""
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    with at(1, 10, 5):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    assert sweep(on(1, 10, 5) + timedelta(days=365)).clocks == 0
    assert told(acme, ticket) == []


def test_a_fire_does_not_disturb_whoever_edits_the_ticket(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    sweep(on(1, 11))
    tell(on(1, 11))
    assert told(acme, ticket) != []
    with at(1, 11):
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, title="Anew", expected_version=ticket.version)


def test_what_was_fired_before_the_end_is_told_as_past(acme: Desk) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    sweep(on(1, 10, 12))
    with at(1, 10, 13):
        resolve_incident(
            actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
        )
    tell(on(1, 10, 14))
    with acme.inside():
        event = Event.objects.get(ticket_id=ticket.pk, kind="sla.threshold_reached")
        assert (event.payload["stale"], event.payload["threshold"]) == (True, "75%")
    assert sweep(on(2, 0)).fires == 0


def test_tenants_take_turns_and_see_their_own_only(acme: Desk, globex: Desk) -> None:
    with at(1, 10):
        for _ in range(3):
            acme.incident(impact=1, urgency=1)
        globex.incident(impact=1, urgency=1)
    done = sweep(on(1, 10, 15), batch=2)
    assert (done.clocks, done.fired) == (4, frozenset({acme.tenant.pk, globex.tenant.pk}))
    with globex.inside():
        assert SlaFire.objects.values("clock").distinct().count() == 1


def test_the_idle_look_tells_the_next_deadline_and_the_databases_time(acme: Desk) -> None:
    assert look().tenants == ()
    with at(1, 10):
        acme.incident(impact=1, urgency=1)
    found = look(on(1, 10))
    assert (found.now, found.tenants, found.next_due_at) == (on(1, 10), (), on(1, 10, 7, 30))
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        assert abs(cursor.fetchone()[0] - look().now) < timedelta(seconds=5)


def test_one_bad_row_is_parked_and_the_others_fire(acme: Desk) -> None:
    with at(1, 10):
        tickets = [acme.incident(impact=1, urgency=1) for _ in range(3)]
    poison = clocks(acme, tickets[1])["response"]
    with acme.inside(), connection.cursor() as cursor:
        # Numbers of thresholds are small; this one is none, and no fire can be written for it.
        cursor.execute(
            "UPDATE sla_slaclock SET generation = 2147483647, step_due = array_fill(step_due[1], ARRAY[40000]) WHERE id = %s",
            [poison.pk],
        )
    done = sweep(on(1, 10, 8))
    assert (done.clocks, done.failed) == (2, 1)
    row = clocks(acme, tickets[1])["response"]
    assert (row.attempts, row.next_due_at) == (1, on(1, 10, 8, 5))
    assert row.last_error.startswith("DataError")
    assert sweep(on(1, 10, 8, 1)).failed == 0, "it waits for its turn"
    now = on(1, 10, 9)
    for _ in range(5):
        sweep(now)
        now += timedelta(hours=2)
    with acme.inside():
        assert poison.pk in {row.pk for row in overdue(now)}
    assert sla_figures().parked == 1


def test_one_round_of_the_command_fires_and_tells(acme: Desk) -> None:
    """What manage.py sla_sweeper does over and over; tests/faults runs it as a process, and kills it."""
    with clock.at(datetime.now(UTC) - timedelta(days=30)):
        ticket = acme.incident(impact=1, urgency=1)
    call_command("sla_sweeper", "--once")
    assert [kind for kind, _, _ in told(acme, ticket)] == ["sla.breached", "sla.breached"]
    call_command("sla_sweeper", "--once")
    assert len(told(acme, ticket)) == 2


def test_the_auditor_names_what_should_have_fired(acme: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    with acme.inside():
        assert overdue(on(1, 10, 8)) == []
        assert {row.metric for row in overdue(on(1, 10, 9))} == {"response"}
    with at(1, 15):
        assert audit_all() == 2
    assert "a clock is overdue and has not fired" in caplog.text
    sweep(on(1, 15))
    with at(1, 15):
        assert audit_all() == 0
    assert clocks(acme, ticket)["resolution"].breached_at == on(1, 14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(minutes=[240, 241])
@given(minutes=st.lists(st.integers(0, 400), min_size=1, max_size=6).map(sorted))
def test_the_statement_does_what_the_pure_clock_says(acme: Desk, minutes: list[int]) -> None:
    with at(1, 10):
        ticket = acme.incident(impact=1, urgency=1)
    expected = {}
    for metric, row in clocks(acme, ticket).items():
        with acme.inside():
            expected[metric] = computed(row, terms_of(row.tenant_id, row.policy_version_id))
    for minute in minutes:
        now = on(1, 10) + timedelta(minutes=minute)
        sweep(now)
        expected = {m: pure.fire(c, to_micros(now))[0] for m, c in expected.items()}
        for metric, row in clocks(acme, ticket).items():
            with acme.inside():
                assert computed(row, terms_of(row.tenant_id, row.policy_version_id)) == expected[metric]
