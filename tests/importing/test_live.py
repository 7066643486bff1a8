"""Importing open incidents by the ordinary commands: they act, listen and refuse as at every door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from incidents.models import Incident
from itsm.access.catalogue import Role
from itsm.access.commands import create_person, grant_role
from itsm.events.models import Event, Outbox
from itsm.tickets.models import SourceRecord, Ticket
from tests.factories import Desk
from tests.importing.logs import run
from tests.importing.test_bad_input import RECORD, imported, rejected


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps({**RECORD, **record}) for record in records), encoding="utf-8")
    return path


def test_open_ones_are_opened_and_ended_ones_left(acme: Desk, tmp_path: Path) -> None:
    agent = create_person(actor=acme.system, name="Don Goodliffe", source_key="servicenow-records:Don Goodliffe")
    grant_role(actor=acme.system, person_id=agent.pk, role=Role.AGENT)
    path = write(
        tmp_path / "r.jsonl",
        {"number": "A1", "assigned_to": "Don Goodliffe"},
        {"number": "A2", "state": "Closed"},
        {"number": "A3", "state": "On Hold", "hold_reason": "Awaiting Vendor"},
        {"number": "A4", "state": "New"},
    )
    with acme.inside():
        before = Outbox.objects.count()
    said = run(acme, path, format="servicenow-records", live=True)
    assert "3 incidents" in said
    assert "1 cases have ended and were left out" in said
    assert imported(acme) == ["A1", "A3", "A4"]
    with acme.inside():
        first = Ticket.objects.get(pk=SourceRecord.objects.get(number="A1").ticket_id)
        assert (first.state, first.channel, first.assignee_id, first.priority) == (2, "import", agent.pk, 2)
        kinds = list(Event.objects.filter(ticket_id=first.pk).order_by("sequence").values_list("kind", flat=True))
        assert kinds == ["incident.opened", "incident.started"]
        held = Incident.objects.get(pk=SourceRecord.objects.get(number="A3").ticket_id)
        assert held.hold_reason == "awaiting_vendor"
        # Everybody hears of it: 2 + 2 + 1 events wait in the outbox.
        assert Outbox.objects.count() == before + 5
    again = run(acme, path, format="servicenow-records", live=True)
    assert "0 incidents with 0 events written" in again
    assert imported(acme) == ["A1", "A3", "A4"]


def test_what_every_door_refuses_is_refused_here(acme: Desk, tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        {"number": "B1", "assigned_to": "Nobody Known"},
        {"number": "B2", "state": "On Hold", "hold_reason": "Awaiting Caller"},
        {"number": "B3", "state": "New"},
    )
    with acme.inside():
        people = acme.system
    run(acme, path, format="servicenow-records", live=True)
    assert imported(acme) == ["B3"]
    assert [(number, code) for _, number, code in rejected(path)] == [("B1", "invalid"), ("B2", "invalid")]
    with acme.inside():
        assert people is not None
        assert Ticket.objects.count() == 1
