"""The incident report: ordinary work and imported history by the same definitions, and only what the actor sees."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from incidents import commands
from incidents.reports import incident_report
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden
from itsm.reports.spread import quantile
from itsm.reports.tables import as_csv
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.importing.logs import CASES, log, run

START = datetime(2026, 3, 30, 9, 0, tzinfo=UTC)


@pytest.fixture
def worked(acme: Desk) -> Desk:
    """One incident that was worked on, reopened and closed, and one that waits, both by the ordinary commands."""
    agent, requester = acme.actor("agent"), acme.actor("requester")
    with clock.at(START):
        ticket = acme.incident(impact=1, urgency=2)
    with clock.at(START + timedelta(hours=1)):
        commands.start_incident(actor=agent, ticket_id=ticket.pk)
        assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="on it")
        assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=acme.teams["apps"].pk)
        assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
    for hours in (2, 10):
        with clock.at(START + timedelta(hours=hours)):
            commands.resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="known_error", close_notes="x")
            if hours == 2:
                commands.reopen_incident(actor=requester, ticket_id=ticket.pk, reason="no")
    with clock.at(START + timedelta(hours=34)):
        commands.close_incident(actor=agent, ticket_id=ticket.pk)
    with clock.at(START + timedelta(days=3)):
        waiting = acme.incident()
        commands.hold_incident(actor=agent, ticket_id=waiting.pk, hold_reason="awaiting_vendor")
    return acme


def test_ordinary_work_is_reported(worked: Desk) -> None:
    report = incident_report(actor=worked.actor("manager"))
    assert (report["cases"], report["events"], report["open_now"]) == (2, 12, 1)
    assert report["states"] == {"In Progress": 6, "New": 2, "Resolved": 2, "Closed": 1, "On Hold": 1}
    assert report["first_state"] == {"New": 2}
    assert report["last_state"] == {"Closed": 1, "On Hold": 1}
    assert report["priority_last"] == {"2 - High": 1, "5 - Planning": 1}
    assert (report["reopened_cases"], report["reopen_rate_pct"], report["resolved_to_open"]) == (1, 50.0, 1)
    assert (report["reassign_sum"], report["team_changes"], report["team_pingpong_cases"]) == (2, 2, 1)
    assert report["resolution_hours"]["n"] == 1
    assert (report["resolution_hours"]["median"], report["close_hours"]["max"]) == (10.0, 34.0)
    assert report["opened_by_month"] == {"2026-03": 1, "2026-04": 1}
    assert report["open_backlog"] == {"2026-03-31 23:59": 0, "2026-04-30 23:59": 1}
    assert report["top10_variants_collapsed"][0] == [
        "New > In Progress > Resolved > In Progress > Resolved > Closed",
        1,
    ]
    assert (report["dfg_edges"], report["dfg_total"], report["dfg_top"][0]) == (
        6,
        10,
        ["In Progress > In Progress", 4],
    )


def test_imported_history_counts_in_its_own_words(worked: Desk, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(log(CASES))
    run(worked, tmp_path / "log.csv")
    report = incident_report(actor=worked.actor("owner"), backlog_at=[datetime(2016, 2, 29, 10, 0, tzinfo=UTC)])
    assert (report["cases"], report["events"]) == (5, 22)
    assert report["states"]["-100"] == 1
    assert report["states"]["New"] == 4
    assert report["states"]["Awaiting User Info"] == 1
    assert report["open_backlog"] == {"2016-02-29 10:00": 1}
    assert report["updated_range"][0] == "2016-02-29T01:23:00+00:00"


def test_only_what_the_actor_sees(worked: Desk) -> None:
    secret = worked.incident("hr")
    with worked.inside():
        assign_ticket(actor=worked.system, ticket_id=secret.pk, team_id=worked.teams["hr"].pk)
    assert incident_report(actor=worked.actor("agent"))["cases"] == 2
    assert incident_report(actor=worked.actor("hr"))["cases"] == 3
    assert incident_report(actor=worked.system)["cases"] == 3
    with pytest.raises(Forbidden) as refused:
        incident_report(actor=worked.actor("requester"))
    assert refused.value.permission == "report.read"


def test_another_tenant_is_empty(worked: Desk, globex: Desk) -> None:
    report = incident_report(actor=globex.actor("owner"))
    assert (report["cases"], report["events"], report["reopen_rate_pct"], report["states"]) == (0, 0, None, {})


def test_command_page_csv_and_api_say_the_same(worked: Desk) -> None:
    out = io.StringIO()
    call_command("report", "incidents", tenant="acme", json=True, stdout=out)
    said = json.loads(out.getvalue())
    caller = Caller(worked, "manager")
    answer = caller.get("reports/incidents/")
    assert answer.status_code == 200
    assert {**answer.json(), "at": ""} == {**said, "at": ""}
    client = Client()
    client.force_login(worked.users["manager"])
    page = client.get(f"{worked.prefix}/reports/incidents/")
    assert page.status_code == 200
    assert "New &gt; In Progress &gt; Resolved &gt; In Progress &gt; Resolved &gt; Closed" in page.content.decode()
    file = client.get(f"{worked.prefix}/reports/incidents.csv")
    assert file["Content-Type"] == "text/csv; charset=utf-8"
    rows = {(name, key): value for name, key, value in csv.reader(io.StringIO(file.content.decode("utf-8-sig")))}
    assert (rows["cases", ""], rows["states", "In Progress"], rows["resolution_hours", "median"]) == ("2", "6", "10.0")
    text = io.StringIO()
    call_command("report", "incidents", tenant="acme", stdout=text)
    assert "resolution_hours" in text.getvalue()


@pytest.mark.parametrize("who", ["requester", "colleague"])
def test_requesters_get_no_report(worked: Desk, who: str) -> None:
    body = problem(Caller(worked, who).get("reports/incidents/"), 403, "forbidden")
    assert body["permission"] == "report.read"
    client = Client()
    client.force_login(worked.users[who])
    for address in ("incidents/", "incidents.csv"):
        assert client.get(f"{worked.prefix}/reports/{address}").status_code == 403
    assert Client().get(f"{worked.prefix}/reports/incidents/").status_code == 302
    assert Client().get("/reports/incidents/").status_code in {302, 404}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?backlog_at=yesterday", "not_a_time"),
        ("?backlog_at=", "not_a_time"),
        ("?backlog=1", "unknown_parameter"),
        ("?backlog_at=" + ",".join(["2026-01-01T00:00:00Z"] * 37), "too_many"),
        ("?backlog_at=2026-01-01T00:00:00", "not_a_time"),
        ("?backlog_at=9999-12-31T23:59:59-23:00", "not_a_time"),
    ],
)
def test_bad_queries(worked: Desk, query: str, code: str) -> None:
    answer = Caller(worked, "manager").get(f"reports/incidents/{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code


def test_a_time_at_the_edge_of_the_calendar(worked: Desk) -> None:
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        answer = Caller(worked, "manager").get(f"reports/incidents/?backlog_at={at}")
        assert answer.status_code == 200, answer.content


def test_bad_command_lines(worked: Desk) -> None:
    with pytest.raises(CommandError, match="no active service desk"):
        call_command("report", "incidents", tenant="nobody")
    with pytest.raises(CommandError, match="is no date"):
        call_command("report", "incidents", tenant="acme", backlog_at=["soon"])


def test_quantiles_and_csv() -> None:
    assert quantile({1: 1, 2: 2, 10: 1}, 0.5) == 2.0
    assert quantile({1: 1, 2: 1}, 0.75) == 1.75
    assert quantile({}, 0.5) is None
    report: dict[str, Any] = {"teams": {"=cmd": 1}, "pairs": [["@x", 2]], "nothing": None}
    assert as_csv(report).splitlines()[1:] == ["teams,'=cmd,1", "pairs,'@x,2", "nothing,,"]
