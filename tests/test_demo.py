"""The demo: two companies that are the same for the same day, made by commands, once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command

from config.demo.seed import Desk as DemoDesk
from config.demo.seed import midnight
from config.demo.stories import COMPANIES, STORIES
from incidents.models import MajorAction, MajorIncident, MajorStakeholder
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.notify.readers import out_of_reach
from itsm.sla.models import SlaClock
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant
from itsm.tickets.models import Ticket

#: One of last month; one of now with its two children.
MAJORS = 4


@pytest.mark.django_db
def test_seed_writes_demo_json_once_and_follows_the_address(tmp_path: Path) -> None:
    call_command("seed_demo", state=str(tmp_path), address="http://127.0.0.1:8000", rounds=2, verbosity=0)
    path = tmp_path / "demo.json"
    assert path.stat().st_mode & 0o777 == 0o600
    first = json.loads(path.read_text())
    assert [one["slug"] for one in first["tenants"]] == ["acme", "globex"]
    assert first["tenants"][0]["api"] == "http://127.0.0.1:8000/t/acme/api/v1"
    assert set(first["tenants"][0]["users"]) >= {"agent", "requester", "owner", "admin", "auditor"}
    assert set(first["tenants"][0]["tokens"]) == {"agent", "requester", "owner", "admin"}
    with tenant(Tenant.objects.get(slug="acme").pk):
        told = list(Ticket.objects.order_by("number").values_list("number", "title", "state", "opened_at"))
    call_command("seed_demo", state=str(tmp_path), address="http://127.0.0.1:9000", verbosity=0)
    second = json.loads(path.read_text())
    assert second["address"] == "http://127.0.0.1:9000"
    assert second["tenants"][0]["tokens"] == first["tenants"][0]["tokens"]
    with tenant(Tenant.objects.get(slug="acme").pk):
        assert Ticket.objects.count() == len(told) == 2 * len(STORIES) + MAJORS
        # All six states occur, so that every page has something to show.
        assert {state for _, _, state, _ in told} == {1, 2, 3, 6, 7, 8}


@pytest.mark.django_db
def test_the_same_day_tells_the_same_stories() -> None:
    today = midnight(clock.now())
    seen = []
    for slug in ("first", "second"):
        company = replace(COMPANIES[1], slug=slug, domain=f"{slug}.example")
        desk = DemoDesk(company, "secret", today, rounds=1)
        seeded = desk.build(lambda _line: None)
        with tenant(seeded.tenant.pk):
            tickets = Ticket.objects.order_by("number").values_list(
                "number", "title", "state", "priority", "opened_at", "version", "requester__name", "parent__number"
            )
            led = MajorIncident.objects.order_by("declared_at").values_list(
                "ticket__number", "state", "commander__name", "declared_at", "review_due_at", "reviewed_at"
            )
            seen.append((list(tickets), list(led)))
    assert seen[0] == seen[1]


@pytest.mark.django_db
def test_each_company_leads_one_major_incident_and_has_reviewed_one() -> None:
    today = midnight(clock.now())
    seeded = DemoDesk(COMPANIES[0], "secret", today, rounds=1).build(lambda _line: None)
    with tenant(seeded.tenant.pk):
        past, present = MajorIncident.objects.select_related("ticket", "commander").order_by("declared_at")
        assert (past.state, present.state) == ("reviewed", "declared")
        assert [one.commander.name for one in (past, present)] == ["Alex Agent"] * 2
        assert MajorAction.objects.filter(ticket_id=past.pk).count() == 2
        sent = Event.objects.filter(kind="incident.major_update_sent").values_list("ticket_id", flat=True)
        assert sorted(sent) == sorted([past.pk] * 2 + [present.pk] * 2)
        children = Ticket.objects.filter(parent_id=present.pk)
        assert (present.ticket.priority, present.ticket.state, children.count()) == (1, 2, 2)
        assert out_of_reach(present.ticket, MajorStakeholder.objects.values_list("person_id", flat=True)) == {}
        # Overdue from the start, whatever the hour of the seed, and not in the future.
        due = SlaClock.objects.get(ticket_id=present.pk, metric="cadence", state="running").due_at
        assert due == today - timedelta(hours=1, minutes=40)
        assert set(SlaClock.objects.filter(ticket_id=past.pk).values_list("state", flat=True)) == {"met"}
