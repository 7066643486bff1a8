"""The demo: two companies that are the same for the same day, made by commands, once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command

from config.demo.seed import Desk as DemoDesk
from config.demo.seed import midnight
from config.demo.stories import COMPANIES, STORIES
from itsm.kernel import clock
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant
from itsm.tickets.models import Ticket


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
        assert Ticket.objects.count() == len(told) == 2 * len(STORIES)
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
            seen.append(
                list(
                    Ticket.objects.order_by("number").values_list(
                        "number", "title", "state", "priority", "opened_at", "version", "requester__name"
                    )
                )
            )
    assert seen[0] == seen[1]
