"""Logs for tests, in the shape of the real one, and what every import must leave true."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management import call_command

from itsm.events.digest import event_digest, seal_digest
from itsm.events.models import Event, FeedEntry, Seal
from itsm.tenancy.context import tenant
from tests.factories import Desk

HEADER = [
    "number", "incident_state", "active", "reassignment_count", "reopen_count", "sys_mod_count",
    "made_sla", "caller_id", "opened_by", "opened_at", "sys_created_by", "sys_created_at",
    "sys_updated_by", "sys_updated_at", "contact_type", "location", "category", "subcategory",
    "u_symptom", "cmdb_ci", "impact", "urgency", "priority", "assignment_group",
    "assigned_to", "knowledge", "u_priority_confirmation", "notify", "problem_id", "rfc",
    "vendor", "caused_by", "closed_code", "resolved_by", "resolved_at", "closed_at",
]  # fmt: skip
USUAL = {
    "active": "true",
    "reassignment_count": "0",
    "reopen_count": "0",
    "sys_mod_count": "0",
    "made_sla": "true",
    "caller_id": "Caller 1",
    "opened_by": "Opened by  8",
    "opened_at": "29/2/2016 01:16",
    "sys_updated_by": "Updated by 21",
    "contact_type": "Phone",
    "category": "Category 55",
    "subcategory": "Subcategory 170",
    "u_symptom": "Symptom 72",
    "impact": "2 - Medium",
    "urgency": "2 - Medium",
    "priority": "3 - Moderate",
    "assignment_group": "Group 56",
    "knowledge": "true",
    "notify": "Do Not Notify",
    "closed_code": "code 5",
    "resolved_by": "Resolved by 149",
    "resolved_at": "29/2/2016 11:29",
    "closed_at": "5/3/2016 12:00",
}


def row(number: str, state: str, at: str, **more: str) -> dict[str, str]:
    """One row; what is not said is as usual, and ``?`` where there is nothing usual."""
    cells = {**dict.fromkeys(HEADER, "?"), **USUAL, **more}
    return {**cells, "number": number, "incident_state": state, "sys_updated_at": at}


def log(rows: Iterable[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


CASES = (
    row("INC0000045", "New", "29/2/2016 01:23"),
    row("INC0000045", "Active", "29/2/2016 02:00", assignment_group="Group 70", assigned_to="Resolver 89"),
    row("INC0000045", "-100", "29/2/2016 02:30", assignment_group="Group 70", assigned_to="Resolver 89"),
    row("INC0000045", "Awaiting User Info", "29/2/2016 03:00", assignment_group="Group 70", reassignment_count="1"),
    row("INC0000045", "Resolved", "29/2/2016 11:29", assignment_group="Group 70", reassignment_count="1"),
    row(
        "INC0000045", "Closed", "5/3/2016 12:00", assignment_group="Group 70", reassignment_count="1", reopen_count="1"
    ),
    row("INC0000047", "Active", "1/3/2016 05:30", opened_at="1/3/2016 05:00", caller_id="?", resolved_at="?"),
    row("INC0000047", "Closed", "1/3/2016 09:30", opened_at="1/3/2016 05:00", caller_id="?", resolved_at="?"),
    row("INC0000057", "New", "2/3/2016 06:10", opened_at="2/3/2016 06:00"),
    row("INC0000057", "Awaiting Problem", "2/3/2016 07:00", opened_at="2/3/2016 06:00", priority="2 - High"),
)


def run(desk: Desk, path: Path, output: Path | None = None, **options: Any) -> str:
    """Import ``path`` into the desk; answers what the command says."""
    out = io.StringIO()
    options.setdefault("rejects", str(output or path.with_suffix(".rejects")))
    if "mapping" not in options:
        options.setdefault("format", "servicenow-log")
    call_command("import_incidents", str(path), tenant=desk.tenant.slug, stdout=out, **options)
    return out.getvalue()


def assert_chains(desk: Desk) -> int:
    """Every ticket's chain and the tenant's seals are what the digests say. Answers how many events are in the feed."""
    with tenant(desk.tenant.pk):
        last: dict[Any, Event] = {}
        digest_of = dict(Event.objects.values_list("pk", "digest"))
        for event in Event.objects.filter(ticket_id__isnull=False).order_by("ticket_id", "sequence").iterator(2000):
            before = last.get(event.ticket_id)
            assert event.sequence == (before.sequence + 1 if before else 1)
            assert bytes(event.previous_digest or b"") == (bytes(before.digest) if before else b"")
            assert bytes(event.digest) == event_digest(event)
            last[event.ticket_id] = event
        fed = FeedEntry.objects.order_by("position").values_list("position", "event_id")
        entries = [(position, digest_of[event_id]) for position, event_id in fed]
        assert [position for position, _ in entries] == list(range(1, len(entries) + 1))
        before_seal: bytes | None = None
        covered = 0
        for seal in Seal.objects.order_by("batch"):
            assert seal.first_position == covered + 1
            digests = [digest for _, digest in entries[seal.first_position - 1 : seal.last_position]]
            assert bytes(seal.digest) == seal_digest(before_seal, seal.first_position, digests)
            before_seal, covered = bytes(seal.digest), seal.last_position
        assert covered == len(entries)
    return len(entries)
