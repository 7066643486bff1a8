"""Recorded history gets the clocks that it would have had, and pages nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from itsm.events.models import Event
from itsm.kernel import clock
from itsm.reports.service_levels import service_level_report
from itsm.sla.explain import explain
from itsm.sla.history import backfill
from itsm.sla.models import SlaClock, SlaClockEvent, SlaFire
from itsm.sla.sweep import sweep
from itsm.tickets.models import SourceRecord, Ticket
from tests.factories import Desk
from tests.importing.logs import CASES, log, row, run
from tests.sla.desk import HOUR

pytestmark = pytest.mark.django_db


def moment(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in the week of Monday, 29 February 2016: day 1 is that Monday."""
    return (
        datetime(2016, 2, 28 + day, hour, minute, tzinfo=UTC)
        if day == 1
        else datetime(2016, 3, day - 1, hour, minute, tzinfo=UTC)
    )


def imported(desk: Desk, folder: Path, *rows: dict[str, str]) -> dict[str, list[SlaClock]]:
    """The clocks by metric, in order, after the import of one case."""
    path = folder / "log.csv"
    path.write_text(log(rows), encoding="utf-8")
    assert "refused" not in run(desk, path)
    with desk.inside():
        ticket_id = SourceRecord.objects.get(number=rows[0]["number"]).ticket_id
        found: dict[str, list[SlaClock]] = {}
        for one in SlaClock.objects.filter(ticket_id=ticket_id).order_by("cycle"):
            found.setdefault(one.metric, []).append(one)
    return found


def operations(desk: Desk, one: SlaClock) -> list[tuple[str, str, datetime]]:
    with desk.inside():
        events = SlaClockEvent.objects.filter(clock_id=one.pk).order_by("generation")
        return [(event.operation, event.reason, event.at) for event in events]


def case(state: str, at: str, **more: str) -> dict[str, str]:
    """A row of one P1 that was opened on Monday at 9:00."""
    usual = {
        "opened_at": "29/2/2016 09:00",
        "impact": "1 - High",
        "urgency": "1 - High",
        "priority": "1 - Critical",
        "resolved_at": "?",
        "closed_at": "?",
    }
    return row("INC0000001", state, at, **(usual | more))


def test_a_case_runs_since_it_was_opened_and_a_hold_with_its_reason_pauses(acme: Desk, tmp_path: Path) -> None:
    found = imported(
        acme,
        tmp_path,
        case("New", "29/2/2016 09:05"),
        case("Active", "29/2/2016 09:10"),
        case("Awaiting User Info", "29/2/2016 10:00"),
        case("Active", "29/2/2016 12:00"),
        case("Awaiting Vendor", "29/2/2016 13:00"),
        case("Resolved", "29/2/2016 13:30", resolved_at="29/2/2016 13:30"),
    )
    (response,), (resolution,) = found["response"], found["resolution"]
    assert (response.state, response.started_at, response.stopped_at) == ("met", moment(1, 9), moment(1, 9, 10))
    # From 9 to 10 and from 12 to 13:30: waiting for the caller pauses, waiting for a vendor does not.
    assert (resolution.state, resolution.elapsed) == ("met", 2 * HOUR + HOUR // 2)
    assert operations(acme, resolution) == [
        ("start", "", moment(1, 9)),
        ("pause", "awaiting_caller", moment(1, 10)),
        ("resume", "active", moment(1, 12)),
        ("stop", "resolved", moment(1, 13, 30)),
    ]
    with acme.inside():
        told = explain(acme.actor("agent"), Ticket.objects.get(pk=resolution.ticket_id))[-1]
    assert sum(one.worked for one in told.intervals) == told.elapsed == resolution.elapsed


def test_a_change_of_priority_retargets_with_the_value_of_then(acme: Desk, tmp_path: Path) -> None:
    p3 = {"impact": "2 - Medium", "urgency": "2 - Medium", "priority": "3 - Moderate"}
    found = imported(
        acme,
        tmp_path,
        case("New", "29/2/2016 09:00", **p3),
        case("Active", "29/2/2016 10:00", **p3),
        case("Active", "29/2/2016 12:00"),
        case("Resolved", "29/2/2016 14:00", resolved_at="29/2/2016 14:00"),
    )
    (response,), (resolution,) = found["response"], found["resolution"]
    assert (response.promise, response.state) == ("2h", "met")
    assert (resolution.promise, resolution.state, resolution.breached_at) == ("4h", "missed", moment(1, 13))
    with acme.inside():
        events = SlaClockEvent.objects.filter(clock_id=resolution.pk).order_by("generation")
        promises = [(event.operation, event.promise, event.priority) for event in events]
    assert promises == [("start", "24h", None), ("calendar", "24h", None), ("retarget", "4h", None), ("stop", "4h", 1)]


def test_reopened_work_goes_on_where_it_stopped(acme: Desk, tmp_path: Path) -> None:
    found = imported(
        acme,
        tmp_path,
        case("Active", "29/2/2016 09:00"),
        case("Resolved", "29/2/2016 12:00"),
        case("Active", "1/3/2016 09:00", reopen_count="1"),
        case("Closed", "1/3/2016 12:00", reopen_count="1", closed_at="1/3/2016 12:00"),
    )
    (resolution,) = found["resolution"]
    assert [operation for operation, _, _ in operations(acme, resolution)] == ["start", "stop", "reopen", "cancel"]
    assert (resolution.state, resolution.elapsed, resolution.cycle) == ("canceled", 6 * HOUR, 1)
    assert resolution.breached_at == moment(2, 10)


def test_what_is_still_open_is_armed_in_the_future_only(acme: Desk, tmp_path: Path) -> None:
    with clock.at(moment(1, 11, 30)):
        found = imported(acme, tmp_path, case("New", "29/2/2016 09:00"))
    (response,), (resolution,) = found["response"], found["resolution"]
    # 50 % of four hours was at 11:00: past. 75 %, 90 % and the deadline are to come.
    assert (resolution.state, resolution.due_at, resolution.next_due_at) == ("running", moment(1, 13), moment(1, 12))
    assert resolution.step_due == [None, moment(1, 12), moment(1, 12, 36), moment(1, 13)]
    assert (resolution.fired, resolution.breached_at) == ([0], None)
    assert (response.state, response.next_due_at, response.breached_at) == ("running", None, moment(1, 9, 15))
    with acme.inside():
        assert Ticket.objects.get(pk=resolution.ticket_id).due_at == moment(1, 9, 15)
        assert SlaFire.objects.count() == 0
    assert sweep(moment(1, 11, 59)).fires == 0
    assert sweep(moment(1, 12)).fires == 1
    with acme.inside():
        assert [(fire.step, fire.due_at) for fire in SlaFire.objects.all()] == [(1, moment(1, 12))]


def test_it_pages_nobody_and_adds_up(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(log(CASES), encoding="utf-8")
    run(acme, path)
    with acme.inside():
        assert set(Event.objects.filter(ticket_id__isnull=False).values_list("kind", flat=True)) == {
            "incident.imported"
        }
        assert SlaClock.objects.filter(next_due_at__isnull=False).count() == 0
        assert set(SlaClock.objects.values_list("ticket_id", flat=True)) == set(
            Ticket.objects.values_list("pk", flat=True)
        )
        clocks = SlaClock.objects.count()
    assert sweep(clock.now()).fires == 0
    with acme.inside():
        assert SlaFire.objects.count() == 0
    report = service_level_report(actor=acme.actor("manager"), given={"from": "2016-01-01", "to": "2016-12-31"})
    assert sum(row["ended"] + row["open"] for row in report["metrics"]) == clocks == 6
    assert {row["metric"]: (row["met"], row["missed"], row["canceled"], row["open"]) for row in report["metrics"]} == {
        "response": (2, 0, 0, 1),
        "resolution": (1, 0, 1, 1),
    }


def test_an_import_costs_the_same_statements_however_many_cases(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    cases = [
        {**one, "number": f"INC{n:07}"}
        for n in range(20)
        for one in (case("New", "29/2/2016 09:00"), case("Active", "29/2/2016 10:00"))
    ]
    path.write_text(log(cases), encoding="utf-8")
    run(acme, path)
    with acme.inside():
        ids = list(Ticket.objects.values_list("pk", flat=True))
        assert len(ids) == 20
        before: list[Any] = sorted(
            SlaClock.objects.values_list("ticket_id", "metric", "state", "elapsed", "due_at"), key=str
        )
        with CaptureQueriesContext(connection) as nothing:
            assert backfill(acme.tenant.pk, ids) == 0, "clocks that are there are left alone"
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sla_slaclock")
            assert cursor.fetchone()[0] == 40
        assert (
            sorted(SlaClock.objects.values_list("ticket_id", "metric", "state", "elapsed", "due_at"), key=str) == before
        )
    assert len([q for q in nothing.captured_queries if q["sql"].startswith("SELECT")]) <= 6
