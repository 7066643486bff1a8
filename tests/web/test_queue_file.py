"""The queue as a file: what the address filters, for whom the table says, and no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from itsm.reports import tickets as export
from itsm.tickets.commands import assign_ticket
from tests.factories import Desk
from tests.web.conftest import Browser


def rows(answer: Any) -> list[dict[str, str]]:
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer["Content-Disposition"] == 'attachment; filename="tickets.csv"'
    text = b"".join(answer.streaming_content).decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_it_holds_what_the_address_filters(acme: Desk, browser: Browser) -> None:
    urgent = acme.incident(title="Network, down", impact=1, urgency=1)
    acme.incident(title="=HYPERLINK(1)")
    hidden = acme.incident("agent", title="Salary")
    assign_ticket(actor=acme.actor("hr"), ticket_id=hidden.pk, team_id=acme.teams["hr"].pk)
    agent = browser("agent")
    found = rows(agent.get(f"{acme.prefix}/queue.csv"))
    assert [row["title"] for row in found] == ["Network, down", "'=HYPERLINK(1)"]
    page = agent.get(f"{acme.prefix}/queue/?view=urgent&sort=-opened").content.decode()
    assert f'href="{acme.prefix}/queue.csv?view=urgent&amp;sort=-opened"' in page
    first = found[0]
    assert (first["number"], first["state"], first["priority"], first["team"]) == (urgent.number, "New", "1", "")
    assert first["opened_at"] == urgent.opened_at.isoformat(timespec="seconds")
    assert [row["number"] for row in rows(agent.get(f"{acme.prefix}/queue.csv?view=urgent"))] == [urgent.number]
    bad = agent.get(f"{acme.prefix}/queue.csv?priority=9")
    assert (bad.status_code, "priority" in bad.content.decode()) == (400, True)


def test_who_may_not_gets_nothing(acme: Desk, browser: Browser) -> None:
    acme.incident()
    assert browser("requester").get(f"{acme.prefix}/queue.csv").status_code == 403
    assert browser("requester").get(f"{acme.prefix}/reports/incidents.csv").status_code == 403


def test_more_than_a_file_holds_is_refused(acme: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        acme.incident()
    monkeypatch.setattr(export, "ROWS_MAX", 2)
    answer = browser("agent").get(f"{acme.prefix}/queue.csv")
    assert (answer.status_code, "at most 2 tickets" in answer.content.decode()) == (400, True)
    monkeypatch.setattr(export, "ROWS_MAX", 3)
    assert len(rows(browser("agent").get(f"{acme.prefix}/queue.csv"))) == 3
