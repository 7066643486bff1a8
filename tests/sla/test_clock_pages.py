"""Clocks where people and programs read them: chips beside a ticket, the page that explains them, and the API."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from incidents.commands import cancel_incident, hold_incident, resolve_incident, start_incident
from itsm.sla.models import SlaPolicy
from itsm.tickets.commands import assign_ticket, update_ticket
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.sla.desk import at, policy
from tests.web.conftest import Browser, browser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db
jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).resolve().parents[2]


def opened(desk: Desk, **fields: Any) -> Ticket:
    """A P3 of Monday at 9: response until 11:00, resolution (24 hours of work) until Thursday at 9."""
    with at(1, 9):
        return desk.incident(**({"impact": 2, "urgency": 2} | fields))


def chips(page: bytes) -> dict[str, tuple[str, str]]:
    """Metric → (style, word) of the section beside a ticket."""
    text = html.unescape(page.decode())
    found = re.findall(r'<span class="metric">([^<]+)</span> <span class="chip (\w+)">([^<]+)</span>', text)
    return {metric: (style, word) for metric, style, word in found}


def beside(
    desk: Desk, browser: Browser, ticket: Ticket, who: str = "agent", language: str = "en"
) -> dict[str, tuple[str, str]]:
    page = browser(who).get(f"{desk.prefix}/incidents/{ticket.number}/", headers={"Accept-Language": language})
    assert page.status_code == 200
    return chips(page.content)


def test_the_chips_of_each_verdict(acme: Desk, browser: Browser) -> None:
    agent, ticket = acme.actor("agent"), opened(acme)
    with at(1, 9, 30):
        assert beside(acme, browser, ticket) == {
            "Response": ("fine", "1 h 30 min left"),
            "Resolution": ("fine", "23 h 30 min left"),
        }
    with at(1, 10, 30):
        assert beside(acme, browser, ticket)["Response"] == ("soon", "30 min left")
    with at(1, 11, 5):
        assert beside(acme, browser, ticket)["Response"] == ("late", "5 min overdue")
        start_incident(actor=agent, ticket_id=ticket.pk)
        assert beside(acme, browser, ticket)["Response"] == ("late", "Missed by 5 min")
    with at(1, 12):
        hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(3, 12):
        assert beside(acme, browser, ticket)["Resolution"] == ("waits", "Waiting, 21 h 00 min left")
        assert beside(acme, browser, ticket, language="de")["Lösung"] == ("waits", "Wartet, noch 21 Std. 00 Min.")
        resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")
        assert beside(acme, browser, ticket)["Resolution"] == ("kept", "Met")


def test_canceled_and_never(acme: Desk, browser: Browser) -> None:
    ticket = opened(acme)
    with at(1, 10):
        cancel_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="no")
        assert set(beside(acme, browser, ticket).values()) == {("ended", "Canceled")}
    with acme.inside():
        SlaPolicy.objects.update(is_active=False)
    assert beside(acme, browser, opened(acme)) == {}, "nothing is promised, and nothing is said of it"


def test_late_and_waiting_is_late(acme: Desk, browser: Browser) -> None:
    ticket = opened(acme, impact=1, urgency=1)
    with at(1, 14):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(2, 9):
        assert beside(acme, browser, ticket)["Resolution"] == ("late", "1 h 00 min overdue")


def test_who_sees_chips(acme: Desk, browser: Browser) -> None:
    ticket = opened(acme)
    with at(1, 10):
        everybody = ("agent", "manager", "owner", "hr", "auditor", "requester")
        assert {who: bool(beside(acme, browser, ticket, who)) for who in everybody} == {
            "agent": True, "manager": True, "owner": True, "hr": True, "auditor": True, "requester": False,
        }  # fmt: skip
        pane = browser("agent").get(f"{acme.prefix}/queue/?open={ticket.number}")
        assert chips(pane.content)["Response"] == ("fine", "1 h 00 min left")


def page_of(desk: Desk, browser: Browser, number: str, who: str = "agent", language: str = "en") -> Any:
    return browser(who).get(f"{desk.prefix}/sla/{number}/", headers={"Accept-Language": language})


def test_the_page_explains_every_interval(acme: Desk, browser: Browser) -> None:
    agent, ticket = acme.actor("agent"), opened(acme)
    with at(1, 10):
        hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 13):
        update_ticket(actor=agent, ticket_id=ticket.pk, impact=2, urgency=1)
        page = page_of(acme, browser, ticket.number)
        german = page_of(acme, browser, ticket.number, language="de")
    text = html.unescape(page.content.decode())
    assert page.status_code == 200
    assert "1 h 00 min of 8 h 00 min used." in text
    assert "Policy Resolution, version 1. Hours: Office hours, version 1 (UTC)." in text
    assert 'title="3600.000000 s">1:00:00</td>' in text
    assert "(Awaiting caller)" in text
    assert "another promise" in text
    assert text.count('<section class="card"') == 2
    said = html.unescape(german.content.decode())
    assert '<html lang="de"' in said
    assert "Waits" not in said
    assert "another promise" not in said


def test_the_page_is_only_for_those_who_work_on_the_ticket(acme: Desk, globex: Desk, browser: Browser) -> None:
    ticket = opened(acme)
    theirs = opened(globex)
    with globex.inside():
        Ticket.objects.filter(pk=theirs.pk).update(number="INC7777777")
    secret = opened(acme, by="hr")
    assign_ticket(actor=acme.system, ticket_id=secret.pk, team_id=acme.teams["hr"].pk)
    answers = {
        (who, number): page_of(acme, browser, number, who).status_code
        for who in ("agent", "requester", "colleague", "hr")
        for number in (ticket.number, secret.number, "INC7777777", "INC9999999")
    }
    own, hidden, foreign, unknown = ticket.number, secret.number, "INC7777777", "INC9999999"
    assert answers == {
        ("agent", own): 200, ("agent", hidden): 404, ("agent", foreign): 404, ("agent", unknown): 404,
        ("requester", own): 403, ("requester", hidden): 404, ("requester", foreign): 404, ("requester", unknown): 404,
        ("colleague", own): 404, ("colleague", hidden): 404, ("colleague", foreign): 404, ("colleague", unknown): 404,
        ("hr", own): 200, ("hr", hidden): 200, ("hr", foreign): 404, ("hr", unknown): 404,
    }  # fmt: skip


def test_the_tables_of_the_page_are_reached_by_keyboard(acme: Desk, browser: Browser) -> None:
    ticket = opened(acme)
    text = page_of(acme, browser, ticket.number).content.decode()
    assert text.count('<div class="scroll" tabindex="0" role="region" aria-label="Intervals">') == 2
    whole = browser("agent").get(f"{acme.prefix}/incidents/{ticket.number}/").content.decode()
    assert f'<a href="{acme.prefix}/sla/{ticket.number}/">Why?</a>' in whole


def test_the_api_answers_what_its_document_says(acme: Desk) -> None:
    ticket = opened(acme)
    policy(acme, "Network", "ola", targets=[{"target": "4h"}])
    with at(1, 10):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
        assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
        answer = Caller(acme, "agent").get(f"incidents/{ticket.number}/clocks/")
    assert answer.status_code == 200
    document = yaml.safe_load((ROOT / "docs" / "reference" / "openapi.yaml").read_text())
    of_clocks = document["paths"]["/api/v1/incidents/{key}/clocks/"]["get"]["responses"]["200"]
    schema = of_clocks["content"]["application/json"]["schema"]
    body = json.loads(answer.content)
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(body)
    response, resolution = body["results"][:2]
    assert (response["metric"], response["verdict"], response["percent"]) == ("response", "met", 50)
    assert (resolution["promise"], resolution["elapsed_seconds"], resolution["left_seconds"]) == (
        "24h",
        3600.0,
        82800.0,
    )
    assert [(one["kind"], one["worked_seconds"]) for one in resolution["intervals"]] == [
        ("running", 3600.0),
        ("paused", 0),
    ]


def test_the_api_tells_those_who_work_on_the_ticket(acme: Desk, globex: Desk) -> None:
    ticket = opened(acme)
    address = f"incidents/{ticket.number}/clocks/"
    allowed = {who: Caller(acme, who).get(address).status_code for who in acme.people}
    assert allowed == {
        "requester": 403, "colleague": 404, "agent": 200, "hr": 200, "manager": 200, "owner": 200,
        "other_manager": 404, "admin": 403, "auditor": 200,
    }  # fmt: skip
    problem(Caller(acme, "requester").get(address), 403, "forbidden")
    assert Caller(globex, "agent").get(f"incidents/{ticket.pk}/clocks/").status_code == 404
    assert Caller(acme, "agent").get("incidents/INC9999999/clocks/").status_code == 404
