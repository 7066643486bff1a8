"""The attainment report: what was promised, kept and missed in a period, which later changes do not touch."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from incidents.commands import cancel_incident, hold_incident, reopen_incident, resolve_incident, resume_incident
from itsm.access.commands import update_person
from itsm.access.organisations import create_organisation
from itsm.kernel.errors import Forbidden, Invalid
from itsm.reports.service_levels import GROUPS, service_level_report, table
from itsm.sla.models import SlaPolicy, SlaPolicyVersion
from itsm.tickets.commands import assign_ticket, update_ticket
from itsm.tickets.commands.configuration import create_service
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.sla.desk import at

pytestmark = pytest.mark.django_db

WEEK = {"from": "2026-11-23", "to": "2026-11-29"}


def report(desk: Desk, who: str = "manager", **given: str) -> dict[str, Any]:
    return service_level_report(actor=desk.actor(who), given={**WEEK, **given})


def totals(found: dict[str, Any], metric: str = "resolution") -> tuple[int, ...]:
    """Met, missed, canceled, open, overdue of a metric; zeros where there is none."""
    row: dict[str, Any] = next((row for row in found["metrics"] if row["metric"] == metric), {})
    return tuple(row.get(name, 0) for name in ("met", "missed", "canceled", "open", "open_overdue"))


def groups(found: dict[str, Any], metric: str = "resolution") -> dict[str, tuple[int, int, int]]:
    return {
        row["name"]: (row["met"], row["missed"], row["canceled"]) for row in found["groups"] if row["metric"] == metric
    }


def resolved(desk: Desk, begun: tuple[int, int], ended: tuple[int, int], **fields: Any) -> Ticket:
    """An incident opened and resolved at (day, hour)."""
    with at(*begun):
        ticket = desk.incident(**fields)
        assign_ticket(actor=desk.system, ticket_id=ticket.pk, team_id=desk.teams["network"].pk)
    with at(*ended):
        resolve(desk, ticket)
    return ticket


def resolve(desk: Desk, ticket: Ticket) -> None:
    resolve_incident(actor=desk.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")


@pytest.fixture
def week(acme: Desk) -> list[Ticket]:
    """P1: met after 1 h of 4 and missed after 6 h; P3: met; P2 canceled; P1 still open and overdue; P5 open."""
    tickets = [
        resolved(acme, (1, 9), (1, 10), impact=1, urgency=1),
        resolved(acme, (1, 9), (1, 15), impact=1, urgency=1),
        resolved(acme, (1, 9), (2, 17), impact=2, urgency=2),
    ]
    with at(3, 9):
        tickets += [acme.incident(impact=1, urgency=2), acme.incident(impact=1, urgency=1), acme.incident()]
    with at(3, 10):
        cancel_incident(actor=acme.actor("agent"), ticket_id=tickets[3].pk, reason="no")
    return tickets


def test_met_missed_canceled_and_open(acme: Desk, week: list[Ticket]) -> None:
    with at(5, 12):
        found = report(acme)
    assert totals(found) == (2, 1, 1, 2, 1)
    row = next(row for row in found["metrics"] if row["metric"] == "resolution")
    # Used: 25 %, 150 % and 16 of 24 hours; the canceled one is no share of anything.
    assert (row["ended"], row["share_met_pct"], row["median_pct"], row["p90_pct"]) == (4, 66.6667, 66.6667, 133.3333)
    assert groups(found) == {"1": (1, 1, 0), "2": (0, 0, 1), "3": (1, 0, 0)}
    assert (found["time_zone"], found["from"], found["to"], found["by"]) == ("UTC", *WEEK.values(), "priority")


def test_only_what_ended_in_the_period_and_the_metric(acme: Desk, week: list[Ticket]) -> None:
    with at(5, 12):
        assert totals(report(acme, to="2026-11-23")) == (1, 1, 0, 1, 0)
        assert totals(report(acme, **{"from": "2026-11-24", "to": "2026-11-24"})) == (1, 0, 0, 0, 0)
        assert [row["metric"] for row in report(acme, metric="resolution")["metrics"]] == ["resolution"]
        assert report(acme, **{"from": "2025-01-01", "to": "2025-01-31"})["metrics"] == []


def test_days_are_those_of_the_desk(acme: Desk) -> None:
    from itsm.tenancy.models import TenantSettings

    resolved(acme, (1, 9), (1, 23), impact=1, urgency=1)
    with acme.inside():
        TenantSettings.objects.update(time_zone="Europe/Berlin")
    with at(5, 12):
        assert totals(report(acme, to="2026-11-23")) == (0, 0, 0, 1, 1)
        found = report(acme, **{"from": "2026-11-24", "by": "month"})
    assert (totals(found), groups(found)) == ((0, 1, 0, 0, 0), {"2026-11": (0, 1, 0)})


def test_a_period_that_is_over_never_changes(acme: Desk, week: list[Ticket]) -> None:
    with at(8, 0):
        before = {by: {**report(acme, by=by), "at": ""} for by in GROUPS}
    agent = acme.actor("agent")
    with at(8, 9):
        reopen_incident(actor=agent, ticket_id=week[0].pk, reason="no")
        update_ticket(actor=agent, ticket_id=week[0].pk, impact=3, urgency=3)
        assign_ticket(actor=agent, ticket_id=week[0].pk, team_id=acme.teams["apps"].pk)
        reopen_incident(actor=agent, ticket_id=week[1].pk, reason="no")
        resolve(acme, week[4])
    with at(9, 17):
        resolve(acme, week[1])
    with at(12, 12):
        assert {by: {**report(acme, by=by), "at": ""} for by in GROUPS} == before
        later = report(acme, **{"from": "2026-11-30", "to": "2026-12-06"})
    # Of the two that were reopened one goes on and one was missed again; and the one that was open ended.
    assert totals(later)[:3] == (0, 2, 0)
    assert groups(later) == {"1": (0, 2, 0)}


def test_reopened_in_the_same_period_counts_once(acme: Desk) -> None:
    ticket = resolved(acme, (1, 9), (1, 10), impact=1, urgency=1)
    with at(1, 11):
        reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="no")
    with at(1, 12):
        assert totals(report(acme)) == (0, 0, 0, 1, 0)
    with at(1, 18):
        resolve(acme, ticket)
    with at(2, 9):
        assert totals(report(acme)) == (0, 1, 0, 0, 0)


def test_a_clock_that_waits_too_late_is_overdue(acme: Desk) -> None:
    agent = acme.actor("agent")
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
    with at(1, 14):
        hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(2, 9):
        assert totals(report(acme)) == (0, 0, 0, 1, 1)
        resume_incident(actor=agent, ticket_id=ticket.pk)
        assert totals(report(acme, to="2026-11-23")) == (0, 0, 0, 1, 1)


def test_every_group(acme: Desk) -> None:
    with acme.inside():
        mail = create_service(actor=acme.actor("admin"), name="Mail")
        north = create_organisation(actor=acme.actor("admin"), name="North")
    update_person(actor=acme.actor("admin"), person_id=acme.people["requester"].pk, organisation_id=north.pk)
    resolved(acme, (1, 9), (1, 10), impact=1, urgency=1, service_id=mail.pk)
    resolved(acme, (1, 9), (1, 17), by="colleague", impact=1, urgency=1)
    with at(2, 9):
        assert groups(report(acme, by="team")) == {"network": (1, 1, 0)}
        assert groups(report(acme, by="service")) == {"Mail": (1, 0, 0), "": (0, 1, 0)}
        assert groups(report(acme, by="organisation")) == {"North": (1, 0, 0), "": (0, 1, 0)}
        assert groups(report(acme, by="month")) == {"2026-11": (1, 1, 0)}
        assert groups(report(acme, by="policy")) == {"Resolution v1": (1, 1, 0)}


def test_policy_versions_are_told_apart(acme: Desk) -> None:
    resolved(acme, (1, 9), (1, 12), impact=1, urgency=1)
    with acme.inside():
        first = SlaPolicyVersion.objects.get(policy__name="Resolution")
        targets = [{"when": {"priority": [1]}, "target": "2h", "calendar": first.terms["targets"][0]["calendar"]}]
        policy = SlaPolicy.objects.get(name="Resolution")
        SlaPolicyVersion.objects.create(policy=policy, version=2, terms={**first.terms, "targets": targets})
    resolved(acme, (2, 9), (2, 12), impact=1, urgency=1)
    with at(3, 9):
        assert groups(report(acme, by="policy")) == {"Resolution v1": (1, 0, 0), "Resolution v2": (0, 1, 0)}


def test_only_tickets_that_ones_role_shows(acme: Desk, globex: Desk, week: list[Ticket]) -> None:
    with at(4, 9):
        secret = acme.incident("manager", impact=1, urgency=1)
        assign_ticket(actor=acme.system, ticket_id=secret.pk, team_id=acme.teams["hr"].pk)
        resolve_incident(actor=acme.system, ticket_id=secret.pk, close_code="solution_provided", close_notes="x")
    with at(5, 12):
        assert totals(report(acme, "manager"))[0] == 2, "its requester, too, is told nothing of the team's promises"
        assert totals(report(acme, "hr"))[0] == 3
        assert totals(report(acme, "admin"))[0] == totals(report(acme, "auditor"))[0] == 2
        assert groups(report(acme, "hr", by="team")) == {"hr": (1, 0, 0), "network": (2, 1, 0), "": (0, 0, 1)}
        assert service_level_report(actor=globex.actor("manager"), given=WEEK)["metrics"] == []
        for who in ("requester", "colleague"):
            with pytest.raises(Forbidden) as refused:
                report(acme, who)
            assert refused.value.permission == "report.read"


def test_a_restricted_team_is_not_told_where_the_ticket_has_left_it(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident("hr", impact=1, urgency=1)
        assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["hr"].pk)
    with at(1, 10):
        resolve_incident(actor=acme.system, ticket_id=ticket.pk, close_code="solution_provided", close_notes="x")
    with at(1, 11):
        reopen_incident(actor=acme.system, ticket_id=ticket.pk, reason="no")
        assign_ticket(actor=acme.system, ticket_id=ticket.pk, team_id=acme.teams["network"].pk)
    with at(2, 9):
        found = report(acme, "manager", by="team", metric="response")
        assert groups(found, "response") == {"": (0, 1, 0)}
        assert set(groups(report(acme, "hr", by="team", metric="response"), "response")) == {"hr"}


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"from": "yesterday"}, "/from", "not_a_date"),
        ({"from": "20261123"}, "/from", "not_a_date"),
        ({"to": "9999-12-31"}, "/to", "not_a_date"),
        ({"to": "0001-01-01"}, "/to", "not_a_date"),
        ({"to": "2026-11-22"}, "/to", "reversed"),
        ({"metric": "speed"}, "/metric", "unknown_value"),
        ({"by": "assignee"}, "/by", "unknown_value"),
    ],
)
def test_bad_questions_are_named(acme: Desk, given: dict[str, str], pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        report(acme, **given)
    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [(pointer, code)]


def test_command_page_file_and_api_say_the_same(acme: Desk, week: list[Ticket]) -> None:
    with at(5, 12):
        expected = report(acme)
        out = io.StringIO()
        call_command("report", "service-levels", tenant="acme", json=True, stdout=out, **WEEK)
        assert json.loads(out.getvalue()) == expected
        answer = Caller(acme, "manager").get("reports/service-levels/?from=2026-11-23&to=2026-11-29")
        assert (answer.status_code, answer.json()) == (200, expected)
        client = Client()
        client.force_login(acme.users["manager"])
        page = client.get(f"{acme.prefix}/reports/service-levels/?from=2026-11-23&to=2026-11-29").content.decode()
        file = client.get(f"{acme.prefix}/reports/service-levels.csv?from=2026-11-23&to=2026-11-29")
        text = io.StringIO()
        call_command("report", "service-levels", tenant="acme", stdout=text, **WEEK)
    assert "66.7 %" in page
    assert 'class="met" width="66.67"' in page
    assert "Still open at the end: 2, of these overdue: 1." in page
    assert file["Content-Disposition"] == 'attachment; filename="service-levels.csv"'
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert rows == [[str(cell) for cell in row] for row in table(expected)]
    assert ["resolution", "1", "1", "2", "1", "1", "50.0", "0", "87.5", "137.5"] in rows
    assert "resolution: 2 open then, 1 of them overdue" in text.getvalue()


def test_the_page_in_german_when_empty_and_when_asked_wrongly(acme: Desk, week: list[Ticket]) -> None:
    client = Client(headers={"Accept-Language": "de"})
    client.force_login(acme.users["manager"])
    address = f"{acme.prefix}/reports/service-levels/"
    with at(5, 12):
        page = client.get(f"{address}?from=2026-11-23&to=2026-11-29").content.decode()
        assert "Noch offen am Ende: 2, davon überfällig: 1." in page
        assert 'width="66.67"' in page, "a number of SVG, whatever the language"
        assert "66,7 %" in page
        empty = client.get(f"{address}?from=2025-01-01&to=2025-01-31").content.decode()
        assert "Nichts zu berichten." in empty
        assert 'href="?from=2026-11-01&amp;to=2026-11-25"' in empty
        wrong = client.get(f"{address}?from=soon&by=x")
        assert wrong.status_code == 400
        assert "Schreiben Sie ein Datum wie 2026-01-31." in wrong.content.decode()
        assert f'href="{address}"' in client.get(f"{acme.prefix}/queue/").content.decode(), "it is in the header"
        assert client.get(f"{acme.prefix}/reports/service-levels.csv?from=soon").status_code == 400


@pytest.mark.parametrize("who", ["requester", "colleague"])
def test_requesters_get_none(acme: Desk, who: str) -> None:
    body = problem(Caller(acme, who).get("reports/service-levels/"), 403, "forbidden")
    assert body["permission"] == "report.read"
    client = Client()
    client.force_login(acme.users[who])
    for address in ("service-levels/", "service-levels.csv"):
        assert client.get(f"{acme.prefix}/reports/{address}").status_code == 403
    assert Client().get(f"{acme.prefix}/reports/service-levels/").status_code == 302


def test_the_api_names_what_it_does_not_understand(acme: Desk) -> None:
    api = Caller(acme, "manager")
    body = problem(api.get("reports/service-levels/?from=soon"), 400, "invalid")
    assert [(one["parameter"], one["code"]) for one in body["errors"]] == [("from", "not_a_date")]
    assert api.get("reports/service-levels/?top=3").json()["errors"][0]["code"] == "unknown_parameter"


def test_bad_command_lines(acme: Desk) -> None:
    with pytest.raises(CommandError, match=r"--from: from takes a date"):
        call_command("report", "service-levels", tenant="acme", **{"from": "soon"})
