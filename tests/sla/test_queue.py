"""Deadlines in the queue: what is due next, what is overdue, and how a row says it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.commands import hold_incident, resolve_incident, resume_incident, start_incident
from itsm.sla.commands import change_calendar
from itsm.sla.models import SlaCalendar
from itsm.sla.sweep import sweep
from itsm.tickets import queue
from itsm.tickets.commands import assign_ticket
from itsm.tickets.models import Ticket
from tests.factories import Desk
from tests.sla.desk import at, due_at, on
from tests.web.conftest import Browser, browser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def view(desk: Desk, name: str, who: str = "agent", **given: str) -> list[str]:
    """Titles of the view, in its order."""
    actor = desk.actor(who)
    with desk.inside():
        found = queue.page(actor, queue.parse(actor, {"view": [name], **{k: [v] for k, v in given.items()}}))
    return [ticket.title for ticket in found.tickets]


def counts(desk: Desk, who: str = "agent") -> tuple[int, int]:
    with desk.inside():
        found = queue.counts(desk.actor(who))
    return found["due"], found["breached"]


@pytest.fixture
def work(acme: Desk) -> dict[str, Ticket]:
    """Opened Monday at 9: P1 (due 9:15), P2 (9:30), P3 (11:00), one that waits, one that was resolved."""
    with at(1, 9):
        made = {
            "P3": acme.incident(title="P3", impact=2, urgency=2),
            "P1": acme.incident(title="P1", impact=1, urgency=1),
            "P2": acme.incident(title="P2", impact=1, urgency=2),
            "waits": acme.incident(title="waits", impact=1, urgency=1),
            "done": acme.incident(title="done", impact=1, urgency=1),
        }
        agent = acme.actor("agent")
        hold_incident(actor=agent, ticket_id=made["waits"].pk, hold_reason="awaiting_caller", comment="?")
        resolve_incident(actor=agent, ticket_id=made["done"].pk, close_code="solution_provided", close_notes="x")
    return made


def test_due_next_is_open_work_soonest_first(acme: Desk, work: dict[str, Ticket]) -> None:
    with at(1, 9, 1):
        assert view(acme, "due") == ["P1", "P2", "P3"]
        assert view(acme, "due", sort="-priority") == ["P3", "P2", "P1"]
        assert view(acme, "breached") == []
        assert counts(acme) == (3, 0)


def test_breached_is_what_is_too_late_whether_anybody_has_noticed_or_not(acme: Desk, work: dict[str, Ticket]) -> None:
    with at(1, 9, 15):
        assert view(acme, "breached") == [], "to the microsecond on time"
    with at(1, 9, 15, 1):
        assert (view(acme, "breached"), counts(acme)) == (["P1"], (3, 1))
    sweep(on(1, 9, 31))
    with at(1, 9, 31):
        assert (view(acme, "breached"), counts(acme)) == (["P1", "P2"], (3, 2))
        start_incident(actor=acme.actor("agent"), ticket_id=work["P1"].pk)
        assert view(acme, "breached") == ["P2"], "its response is over; its resolution has time until 13:00"
        assert due_at(acme, work["P1"]) == on(1, 13)


@pytest.mark.parametrize("swept", [True, False], ids=["swept", "not swept"])
def test_what_waits_too_late_stays_too_late(acme: Desk, work: dict[str, Ticket], swept: bool) -> None:
    agent = acme.actor("agent")
    with at(1, 9, 20):
        start_incident(actor=agent, ticket_id=work["P1"].pk)
    if swept:
        sweep(on(1, 13, 30))
    with at(1, 14):
        hold_incident(actor=agent, ticket_id=work["P1"].pk, hold_reason="awaiting_caller", comment="?")
        assert due_at(acme, work["P1"]) == on(1, 13), "the deadline that it missed"
        assert "P1" in view(acme, "breached")
    with at(1, 15):
        resume_incident(actor=agent, ticket_id=work["P1"].pk)
        assert due_at(acme, work["P1"]) == on(1, 13)
        resolve_incident(actor=agent, ticket_id=work["P1"].pk, close_code="solution_provided", close_notes="x")
        assert due_at(acme, work["P1"]) is None
        assert "P1" not in view(acme, "breached")


def test_other_hours_do_not_heal_it(acme: Desk, work: dict[str, Ticket]) -> None:
    with at(5, 9):
        hold_incident(actor=acme.actor("agent"), ticket_id=work["P3"].pk, hold_reason="awaiting_caller", comment="?")
        before = due_at(acme, work["P3"])
        with acme.inside():
            hours = SlaCalendar.objects.get(name="Office hours")
        weekly = {day: [["08:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
        change_calendar(
            actor=acme.actor("owner"),
            calendar_id=hours.pk,
            hours={"timezone": "UTC", "weekly": weekly, "exceptions": {}},
        )
    with at(5, 10):
        assert before is not None
        assert due_at(acme, work["P3"]) == before < on(5, 9)
        assert "P3" in view(acme, "breached")


def test_hidden_tickets_are_in_neither(acme: Desk, work: dict[str, Ticket]) -> None:
    with at(1, 9, 10):
        assign_ticket(actor=acme.system, ticket_id=work["P1"].pk, team_id=acme.teams["hr"].pk)
    with at(1, 9, 16):
        assert (view(acme, "breached"), counts(acme)) == ([], (2, 0))
        assert (view(acme, "breached", "hr"), counts(acme, "hr")) == (["P1"], (3, 1))


def test_pages_of_due_next(acme: Desk, work: dict[str, Ticket]) -> None:
    actor = acme.actor("agent")
    found: list[str] = []
    after = ""
    with at(1, 9, 1), acme.inside():
        for _page in range(3):
            page = queue.page(actor, queue.parse(actor, {"view": ["due"], "limit": ["1"], "after": [after]}))
            found += [ticket.title for ticket in page.tickets]
            after = page.next
    assert (found, after) == (["P1", "P2", "P3"], "")


def test_counts_stay_one_statement(acme: Desk, work: dict[str, Ticket]) -> None:
    actor = acme.actor("agent")
    with acme.inside(), CaptureQueriesContext(connection) as counted:
        queue.counts(actor)
    assert len(counted) == 1


def cell(page: str, ticket: Ticket) -> tuple[str, str, str]:
    """Class, word and machine time of the deadline in a ticket's row."""
    row = page[page.index(f'id="row-{ticket.number}"') :]
    found = re.search(
        r'<td class="(by-due[^"]*)">(?:<span class="word">([^<]*)</span>)?\s*(?:<time datetime="([^"]*)")?', row
    )
    assert found is not None
    return found[1], found[2] or "", found[3] or ""


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("Overdue", "Soon", "Waits")), ("de", ("Überfällig", "Bald", "Wartet"))]
)
def test_a_row_says_it_in_a_word_a_colour_and_a_time(
    acme: Desk, work: dict[str, Ticket], browser: Browser, language: str, words: tuple[str, str, str]
) -> None:
    with at(1, 9, 20):
        page = browser("agent").get(f"{acme.prefix}/queue/?view=all", headers={"Accept-Language": language})
    said: dict[str, Any] = {title: cell(page.content.decode(), ticket) for title, ticket in work.items()}
    assert said == {
        "P1": ("by-due late", words[0], "2026-11-23T09:15:00+00:00"),
        "P2": ("by-due soon", words[1], "2026-11-23T09:30:00+00:00"),
        "P3": ("by-due", "", "2026-11-23T11:00:00+00:00"),
        "waits": ("by-due waits", words[2], ""),
        "done": ("by-due", "", ""),
    }


def test_the_side_bar_leads_there_and_the_heads_say_the_order(
    acme: Desk, work: dict[str, Ticket], browser: Browser
) -> None:
    with at(1, 9, 20):
        page = browser("agent").get(f"{acme.prefix}/queue/?view=due&filters=1", headers={"Accept-Language": "de"})
    text = page.content.decode()
    assert (
        f'<a href="{acme.prefix}/queue/?view=due" aria-current="true">Als Nächstes fällig <span class="count">3</span></a>'
        in text
    )
    assert f'<a href="{acme.prefix}/queue/?view=breached">Überfällig <span class="count">1</span></a>' in text
    assert 'class="by-due" aria-sort="ascending"' in text
    assert '<option value="due" selected>' in text
    assert text.index(work["P1"].number) < text.index(work["P2"].number) < text.index(work["P3"].number)
