"""The real log of 141,712 events, where it is at hand: the report equals figures that were computed without us."""

from __future__ import annotations

import gzip
import io
import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from incidents.commands import open_incident, start_incident
from itsm.events.models import Event
from itsm.events.verify import verify
from itsm.tickets.models import SourceRecord, Ticket
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk
from tests.importing.logs import assert_chains, run

ROOT = Path(__file__).resolve().parents[2]
DATA = next((p / "shared" / "data" for p in ROOT.parents if (p / "shared" / "data").is_dir()), ROOT / "absent")
LOG = DATA / "servicenow_log" / "incident_event_log.csv.gz"
RECORDS = DATA / "servicenow_records" / "incident.jsonl.gz"

needs_log = pytest.mark.skipif(not LOG.exists(), reason="needs ../shared/data/servicenow_log")
needs_records = pytest.mark.skipif(not RECORDS.exists(), reason="needs ../shared/data/servicenow_records")

#: Figures of the truth that are not about incidents as we hold them: of the raw file, of columns that are kept as the
#: source's words only, or of an SLA that another system measured.
NOT_OURS = {
    "columns",
    "exact_duplicate_rows",
    "missing_?",
    "contiguous_cases_in_file",
    "file_order_sys_mod_monotone_cases_violating",
    "file_order_sys_updated_at_decreasing_events",
    "dup_(number,sys_mod_count)",
    "sys_mod_sum_of_max",
    "sys_mod_max",
    "notify_last",
    "knowledge_last",
    "u_priority_confirmation_last",
    "active_last",
    "made_sla_last",
    "made_sla_pct_last_row",
    "made_sla_false_any_row",
    "made_sla_false_rows",
    "made_sla_flips_false_to_true_cases",
    "sla_by_priority_last_pct",
    "opened_after_sys_created",
    "sys_created_missing",
    "cases_with",
    # Checks of the file that hold in the import by construction or are zero there.
    "reopen_decreases_cases",
    "reassign_decreases_cases",
    "resolved_before_opened_cases",
    "closed_before_resolved_cases",
    "resolved_at_varies_within_case",
    "closed_at_varies_within_case",
    "opened_at_varies",
}
#: The same figure under our name.
NAMES = {
    "backwards_closed_to_other": "closed_to_other",
    "resolved_to_active_or_new_or_awaiting": "resolved_to_open",
    "group_pingpong_cases": "team_pingpong_cases",
    "group_changes_total_observed": "team_changes",
    "open_backlog_opened<=T_and_not_resolved_by_T": "open_backlog",
    "top5_assignment_group_last": "top_teams_last",
    "top5_category_last": "top_categories_last",
    "contact_type_last": "channel_last",
}
CHANNELS = {
    "Phone": "phone",
    "Self service": "self_service",
    "Email": "email",
    "IVR": "ivr",
    "Direct opening": "walk_in",
}


def ours(name: str, truth: Any, report: dict[str, Any]) -> Any:
    """Our figure, in the shape of the truth's."""
    if name == "distinct":
        return {**truth, "caller_id": report["requesters"]}
    value = report[NAMES.get(name, name)]
    if name == "contact_type_last":
        return {theirs: value[channel] for theirs, channel in CHANNELS.items()}
    if name.startswith("top5"):
        return dict(list(value.items())[: len(truth)])
    if name.endswith("_range"):
        return [datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") for text in value]
    return value


def report_of(slug: str) -> dict[str, Any]:
    out = io.StringIO()
    at = ["2016-03-31T23:59", "2016-04-30T23:59", "2016-06-30T23:59"]
    call_command("report", "incidents", tenant=slug, json=True, backlog_at=at, stdout=out)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def importer(database: CommittedDatabase, path: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "import_incidents", str(path), "--tenant", "acme"]
    return subprocess.Popen(
        [*command, "--format", "servicenow-log", "--rejects", str(database.media / "rejects.csv"), *more],
        env=database.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def counted(desk: Desk) -> tuple[int, int]:
    with desk.inside():
        return SourceRecord.objects.count(), Event.objects.filter(kind="incident.imported").count()


def excerpt(target: Path, rows: int) -> Path:
    with gzip.open(LOG, "rt", encoding="utf-8") as whole, target.open("w", encoding="utf-8") as part:
        for _, line in zip(range(rows + 1), whole, strict=False):
            part.write(line)
    return target


@pytest.mark.slow
@needs_log
def test_the_whole_log_equals_the_truth_after_a_crash(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    first = importer(committed_db, LOG)
    deadline = time.monotonic() + 120
    while counted(desk)[0] < 5_000:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait(20)
    cases, events = counted(desk)
    assert 5_000 <= cases < 24_918
    with desk.inside():
        # Whole cases only: each has all its events.
        assert sum(Ticket.objects.values_list("last_sequence", flat=True)) == events
    second = importer(committed_db, LOG)
    said, errors = second.communicate(timeout=400)
    assert second.returncode == 0, errors
    assert f"{24_918 - cases:,} incidents with {141_712 - events:,} events written" in said
    assert f"{cases:,} cases were here already" in said
    found = re.search(r"([\d,]+) MB at most", said)
    assert found is not None
    assert int(found[1].replace(",", "")) < 250
    assert counted(desk) == (24_918, 141_712)
    assert verify(desk.tenant.pk).intact
    report = report_of("acme")
    truth = json.loads((DATA / "servicenow_log" / "ground_truth.json").read_text())
    for name in sorted(set(truth) - NOT_OURS):
        assert ours(name, truth[name], report) == truth[name], name
    third = importer(committed_db, LOG)
    said, errors = third.communicate(timeout=200)
    assert "0 incidents with 0 events written" in said, errors
    assert counted(desk) == (24_918, 141_712)


@needs_log
def test_users_work_while_an_import_runs(committed_db: CommittedDatabase, tmp_path: Path) -> None:
    desk = make_desk("acme")
    running = importer(committed_db, excerpt(tmp_path / "part.csv", 8_000))
    while counted(desk)[0] == 0:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    slowest, done = 0.0, 0
    while running.poll() is None and done < 10:
        begun = time.monotonic()
        ticket = open_incident(actor=desk.actor("requester"), title="Meanwhile")
        start_incident(actor=desk.actor("agent"), ticket_id=ticket.pk)
        slowest, done = max(slowest, time.monotonic() - begun), done + 1
    said, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert done >= 3
    assert slowest < 3.0
    assert "events written" in said
    assert_chains(desk)


@needs_log
def test_an_excerpt_of_the_real_log(acme: Desk, tmp_path: Path) -> None:
    said = run(acme, excerpt(tmp_path / "part.csv", 1_000))
    assert "1,000 rows of" in said
    assert "refused" not in said
    with acme.inside():
        assert Event.objects.filter(kind="incident.imported").count() == 1_000
    assert_chains(acme)


@needs_records
def test_real_records(acme: Desk, tmp_path: Path) -> None:
    said = run(acme, RECORDS, tmp_path / "rejects", format="servicenow-records", dry_run=True)
    assert "853 incidents with 853 events would be written" in said
    said = run(acme, RECORDS, tmp_path / "rejects", format="servicenow-records", batch=200)
    assert "853 incidents with 853 events written" in said
    with acme.inside():
        by_state = dict.fromkeys((1, 2, 3, 7), 0)
        for state in Ticket.objects.values_list("state", flat=True):
            by_state[state] += 1
        assert by_state == {1: 190, 2: 297, 3: 103, 7: 263}
    assert_chains(acme)
