"""The benchmark works, and what it measures has a budget of statements."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from incidents.commands import start_incident
from itsm.tickets.search import index_ticket
from scripts.bench import report
from scripts.bench.clock_rows import promised
from scripts.bench.operations import NAMES
from tests.api.caller import Caller
from tests.factories import Desk

CHECKOUT = Path(__file__).resolve().parents[2]
BUDGETS: dict[str, int] = json.loads((CHECKOUT / "tests" / "budgets.json").read_text())["benchmarked"]


@pytest.fixture
def operations(acme: Desk) -> dict[str, Callable[[], Any]]:
    """The benchmark's operations on a desk with ten incidents in progress."""
    # As there: the hold reason pauses the clocks.
    promised(acme.tenant.pk)
    with acme.inside():
        tickets = [acme.incident("agent", team_id=acme.teams["apps"].pk) for _ in range(10)]
        for ticket in tickets:
            start_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
            index_ticket(ticket.pk)
    caller = Caller(acme, "agent", "incidents:read", "incidents:write", prefix=False)
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(acme.users["agent"])
    caller.get("me/")
    browser.get(f"{acme.prefix}/profile/")
    body = {"title": "Printer", "description": "On fire.", "team": str(acme.teams["apps"].pk)}
    listed = f"incidents/?state_category=new,active,waiting&sort=priority&team={acme.teams['apps'].pk}"
    return {
        "create": lambda: caller.post("incidents/", body),
        "get": lambda: caller.get(f"incidents/{tickets[0].pk}/"),
        "verb": lambda: caller.post(
            f"incidents/{tickets[1].pk}/hold/", {"hold_reason": "awaiting_vendor"}, if_match='"2"'
        ),
        "list": lambda: caller.get(listed),
        "search": lambda: caller.get("incidents/?q=printer"),
        "page": lambda: browser.get(f"{acme.prefix}/queue/?view=open"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_benchmarked_has_a_budget(operations: dict[str, Callable[[], Any]], name: str) -> None:
    with CaptureQueriesContext(connection) as sent:
        answer = operations[name]()
    assert answer.status_code == (201 if name == "create" else 200), answer.content[:500]
    assert b"rinter" in answer.content
    # The frame is not counted: savepoints of the test, and the tenant that is set inside its transaction.
    counted = [q["sql"] for q in sent.captured_queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    counted = [sql for sql in counted if "set_config" not in sql]
    assert len(counted) == BUDGETS[name], "update tests/budgets.json on purpose, never in passing\n" + "\n".join(
        counted
    )


def test_what_means_nothing_to_clocks_asks_nothing_of_them(acme: Desk) -> None:
    ticket = acme.incident("agent")
    caller = Caller(acme, "agent", "incidents:read", "incidents:write", prefix=False)
    for address, body in (
        ("comments/", {"body": "Between us.", "audience": "internal"}),
        ("watch/", {}),
    ):
        with CaptureQueriesContext(connection) as sent:
            answer = caller.post(f"incidents/{ticket.pk}/{address}", body)
        assert answer.status_code < 300, answer.content
        assert [
            q["sql"] for q in sent.captured_queries if "sla_slaclock" in q["sql"] or "sla_slapolicy" in q["sql"]
        ] == []


def test_the_page_of_figures_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    row = {"rate": 100.0, "p50": 1.0, "p95": 2.0, "p99": 3.0, "app": 1.0, "database": 0.5, "cache": 0.0, "clients": 8}
    document = {
        "size": 100_000,
        "when": "2030-01-01 00:00 UTC",
        "machine": "a machine",
        "start_seconds": 1.0,
        "worker_mb": 60.0,
        "growth": [{"what": "list", "tenant": "smallest", "ms": 0.5, "buffers": 60}],
        "rows": [
            {**row, "operation": "get", "target": "viable", "cpu": 4.5, "statements": 5.0},
            {**row, "operation": "get", "target": "raw", "cpu": 0.5, "statements": 6.0},
        ],
    }
    report.write(document, page)
    report.write({**document, "size": 1_000_000, "rows": []}, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| get | 9.00× **missed** | ≤ 6× | 5 (6) |" in text
    assert "| list | smallest | 0.50 (60) | 0.50 (60) |" in text


@pytest.mark.slow
def test_every_operation_is_answered_rightly_by_both_servers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench", "--quick"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for name in NAMES:
        for target in ("viable", "raw", "sql"):
            assert (name, target) == ("page", target) or any(
                line.split()[:2] == [name, target] for line in done.stdout.splitlines()
            ), done.stdout[-3000:]
    assert "WRONG" not in done.stdout


@pytest.mark.slow
def test_the_sweep_is_measured_and_fires_everything_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench.clocks", "--quick"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "WRONG" not in done.stdout
    assert "4 sweepers: fires per second" in done.stdout
    assert "beat alone" in done.stdout
