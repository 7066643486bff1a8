"""Whatever the file is: a clear word, a line number, and no case written in part."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from incidents.importing.mapping import SHIPPED, BadMapping, check, load_mapping, shipped
from itsm.events.models import Event
from itsm.tickets.models import SourceRecord, Ticket
from tests.factories import Desk
from tests.importing.logs import CASES, HEADER, assert_chains, log, row, run


def imported(desk: Desk) -> list[str]:
    with desk.inside():
        return sorted(SourceRecord.objects.values_list("number", flat=True))


def rejected(path: Path) -> list[tuple[int, str, str]]:
    with path.with_suffix(".rejects").open(encoding="utf-8", newline="") as file:
        return [(int(r["line"]), r["number"], r["code"]) for r in csv.DictReader(file)]


GOOD = log(CASES).encode()
LINES = GOOD.splitlines(keepends=True)
# A time in the header would give each of pytest's processes a case of another name.
PACKED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (LINES[0], "has no rows"),
        (b"a,b,c\r\n1,2,3\r\n", "has no column number"),
        (GOOD.replace(b",", b";"), "its delimiter is taken to be ','"),
        (bytes(range(256)) * 50, "no readable first line|no column|name the columns"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5000), "no readable first line|no column|name the columns"),
        (PACKED[:-8], "is damaged after line"),
        (PACKED[:8], "is damaged after line 0"),
        (b"\x1f\x8b" + bytes(500), "is damaged after line 0"),
        (LINES[0].replace(b"caller_id", b"number") + LINES[1], "number twice|no column caller_id"),
        (LINES[0].replace(b"active", b"caller_id") + LINES[1], "caller_id twice"),
    ],
)
def test_a_file_that_is_none(acme: Desk, tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=reason):
        run(acme, path)
    with acme.inside():
        assert (Ticket.objects.count(), Event.objects.filter(kind="incident.imported").count()) == (0, 0)


def test_a_folder_is_no_file(acme: Desk, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be"):
        run(acme, tmp_path, tmp_path.with_name("rejects"))


def spoiled(line: int, change: Any) -> bytes:
    """The good log with line ``line`` (1 is the header) changed."""
    return b"".join([*LINES[: line - 1], change(LINES[line - 1]), *LINES[line:]])


@pytest.mark.parametrize(
    ("content", "expected", "kept"),
    [
        # The second case is in lines 8 and 9, the third in 10 and 11.
        (
            spoiled(9, lambda x: x.replace(b"Category 55", b"Category \xff")),
            [(9, "INC0000047", "bad_encoding")],
            {45, 57},
        ),
        (spoiled(9, lambda x: x.replace(b"Group 56", b"Group\x0056")), [(9, "INC0000047", "nul_character")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"Group 56,", b"")), [(9, "INC0000047", "wrong_width")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"Closed", b"Vanished")), [(9, "INC0000047", "unknown_state")], {45, 57}),
        (
            spoiled(9, lambda x: x.replace(b"1/3/2016 09:30", b"31/2/2016 09:30")),
            [(9, "INC0000047", "bad_date")],
            {45, 57},
        ),
        (
            spoiled(9, lambda x: x.replace(b"1/3/2016 09:30", b"1/3/0001 09:30")),
            [(9, "INC0000047", "bad_date")],
            {45, 57},
        ),
        (spoiled(9, lambda x: x.replace(b"1/3/2016 09:30", b"?")), [(9, "INC0000047", "no_date")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"2 - Medium", b"7 - Extreme", 1)), [(9, "INC0000047", "bad_level")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"Phone", b"Pigeon")), [(9, "INC0000047", "unknown_channel")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"true,0,0", b"true,0,-1")), [(9, "INC0000047", "bad_number")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"Group 56", b"G" * 130)), [(9, "INC0000047", "too_long")], {45, 57}),
        (spoiled(9, lambda x: x.replace(b"Group 56", b"G" * 200_000)), None, {45}),
        (
            spoiled(9, lambda x: b"x" * 10_000_000 + b"\r\n"),
            [
                (9, "", "line_too_long"),
                (9, "INC0000047", "row_beside_unreadable"),
                (9, "INC0000057", "row_beside_unreadable"),
            ],
            {45},
        ),
        (
            spoiled(9, lambda x: b"\r\n\r\n?" + x[x.index(b",") :]),
            [
                (11, "", "no_number"),
                (11, "INC0000047", "row_beside_unreadable"),
                (11, "INC0000057", "row_beside_unreadable"),
            ],
            {45},
        ),
    ],
)
def test_a_bad_row_refuses_its_case(
    acme: Desk, tmp_path: Path, content: bytes, expected: list[tuple[int, str, str]] | None, kept: set[int]
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    said = run(acme, path)
    assert imported(acme) == sorted(f"INC00000{n}" for n in kept)
    assert "refused" in said
    if expected is not None:
        assert rejected(path) == expected
    with acme.inside():
        assert Event.objects.filter(kind="incident.imported").count() == sum({45: 6, 47: 2, 57: 2}[n] for n in kept)
    assert_chains(acme)


def test_an_open_quote_swallows_no_half_case(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(spoiled(3, lambda x: x.replace(b"Group 70", b'"Group 70')))
    run(acme, path)
    assert imported(acme) == []
    assert rejected(path)[0][2] == "bad_csv"


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\r\n", b"\n"), PACKED, GOOD[:-2]])
def test_harmless_differences(acme: Desk, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    run(acme, path)
    assert imported(acme) == ["INC0000045", "INC0000047", "INC0000057"]
    assert not path.with_suffix(".rejects").exists()


def test_reject_files_hold_no_formula_and_no_cell(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(log([row('=HYPERLINK("x")', "Nonsense", "1/1/2016 10:00", caller_id="Secret Person")]))
    run(acme, path)
    text = path.with_suffix(".rejects").read_text()
    assert "'=HYPERLINK" in text
    assert "Secret" not in text


def test_scattered_and_unreadable_is_refused_as_a_whole(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [*CASES[:2], *CASES[6:], {**CASES[2], "number": "?"}, *CASES[3:6]]
    path.write_text(log(rows))
    with pytest.raises(CommandError, match="do not stand together"):
        run(acme, path)
    assert imported(acme) == []


@pytest.mark.parametrize("option", [{"batch": 0}, {"zone": "Mars/Olympus"}, {"source": "x" * 41}])
def test_bad_options(acme: Desk, tmp_path: Path, option: dict[str, Any]) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(GOOD)
    with pytest.raises(CommandError):
        run(acme, path, **option)
    assert imported(acme) == []


OTHER = {
    "source": "jira",
    "delimiter": ";",
    "encoding": "iso-8859-1",
    "missing": ["", "n/a"],
    "zone": "Europe/Berlin",
    "dates": ["%d.%m.%Y %H:%M:%S"],
    "columns": {
        "number": "Vorgang",
        "state": "Status",
        "changed_at": "Geändert",
        "title": "Titel",
        "team": "Gruppe",
        "priority": "Priorität",
    },
    "priority": {"hoch": 2, "normal": 3},
    "states": {"Neu": "new", "In Arbeit": "in_progress", "Wartet": "on_hold:awaiting_vendor", "Erledigt": "closed"},
}
OTHER_LOG = """Vorgang;Status;Geändert;Titel;Gruppe;Priorität
T-1;Neu;27.03.2016 01:30:00;Drucker größer;n/a;normal
T-1;In Arbeit;27.03.2016 03:30:00;Drucker größer;Büro;hoch
T-1;Erledigt;28.03.2016 09:00:00;Drucker größer;Technik;hoch
T-2;Wartet;01.01.2016 00:00:00;"Ein; Semikolon";Büro;normal
"""


def test_another_log_needs_a_mapping_and_no_code(acme: Desk, tmp_path: Path) -> None:
    path, mapping = tmp_path / "export.csv", tmp_path / "mapping.json"
    path.write_bytes(OTHER_LOG.encode("iso-8859-1"))
    mapping.write_text(json.dumps(OTHER), encoding="utf-8")
    assert "2 incidents with 4 events written" in run(acme, path, mapping=str(mapping))
    with acme.inside():
        ticket = Ticket.objects.get(pk=SourceRecord.objects.get(number="T-1").ticket_id)
        times = [e.occurred_at.isoformat() for e in Event.objects.filter(ticket_id=ticket.pk).order_by("sequence")]
        other = Ticket.objects.get(pk=SourceRecord.objects.get(number="T-2").ticket_id)
        assert ticket.team.name == "Technik"
    # Summer time began between the first two.
    assert times == ["2016-03-27T00:30:00+00:00", "2016-03-27T01:30:00+00:00", "2016-03-28T07:00:00+00:00"]
    assert (ticket.title, ticket.priority, ticket.channel) == ("Drucker größer", 2, "import")
    assert (ticket.reassignment_count, ticket.closed_at.isoformat()) == (1, "2016-03-28T07:00:00+00:00")
    assert (other.title, other.state, other.opened_at.isoformat()) == ("Ein; Semikolon", 3, "2015-12-31T23:00:00+00:00")


@pytest.mark.parametrize("name", shipped())
def test_shipped_mappings_are_sound(name: str) -> None:
    assert load_mapping(SHIPPED / f"{name}.toml").source == name


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"colums": {}}, "colums is unknown"),
        ({"columns": {"number": "n", "state": "s"}}, "lacks changed_at"),
        ({"columns": {**OTHER["columns"], "colour": "c"}}, "colour is unknown"),  # type: ignore[dict-item]
        ({"columns": []}, "columns must be a table"),
        ({"columns": {"number": 3}}, "must lead from words to words"),
        ({"states": {}}, "states\\] is empty"),
        ({"states": {"Neu": "fresh"}}, "'fresh' is no state"),
        ({"states": {"Neu": "new:awaiting_caller"}}, "write on_hold:<reason>"),
        ({"channels": {"x": "pigeon"}}, "'pigeon' is none of"),
        ({"close_codes": {"x": "done"}}, "'done' is none of"),
        ({"priority": {"hoch": 9}}, "9 is not between 1 and 5"),
        ({"priority": {"hoch": "2"}}, "whole numbers"),
        ({"zone": "Nowhere"}, "zone 'Nowhere' is unknown"),
        ({"zone": "../../etc/passwd"}, "is unknown"),
        ({"encoding": "utf-32"}, "encoding must be one in which"),
        ({"encoding": "klingon"}, "encoding 'klingon' is unknown"),
        ({"encoding": "rot13"}, "encoding"),
        ({"delimiter": "::"}, "delimiter must be one character"),
        ({"dates": []}, "at least one form"),
        ({"dates": ["%d.%m."]}, "has no year"),
        ({"dates": "iso"}, "dates must be a list"),
        ({"source": ""}, "source must name"),
        ({"rows": "cells"}, "rows must be one of"),
        ({"title": "{colour}"}, "no meaning"),
        ({"title": "{"}, "title"),
        ({"title": "{number.__class__}"}, "no meaning"),
    ],
)
def test_bad_mappings_say_what_to_mend(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadMapping, match=problem):
        check({**OTHER, **change}, "test")


@pytest.mark.parametrize(
    ("name", "content"), [("m.toml", b"a = "), ("m.json", b"{"), ("m.json", b"[]"), ("m.toml", b"\xff")]
)
def test_a_mapping_that_is_none(acme: Desk, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "log.csv").write_bytes(GOOD)
    with pytest.raises(CommandError, match="cannot be used"):
        run(acme, tmp_path / "log.csv", mapping=str(tmp_path / name))
    with pytest.raises(CommandError, match="cannot be read"):
        run(acme, tmp_path / "log.csv", mapping=str(tmp_path / "absent.toml"))


RECORD = {
    "number": "INC1",
    "state": "In Progress",
    "short_description": "No\u0001 network",
    "description": "since\r\nnine",
    "sys_updated_on": "2023-10-09 13:15:35",
    "opened_at": "2023-06-23 16:54:59",
    "caller_id": {"display_value": "Rick Berzle", "link": "https://x.example/1"},
    "assigned_to": "",
    "assignment_group": "Hardware",
    "impact": "1 - High",
    "urgency": "2 - Medium",
    "priority": "2 - High",
    "contact_type": "Chat",
    "active": "true",
}


def test_records_and_bad_records(acme: Desk, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    lines = [
        json.dumps(RECORD),
        "{",
        "[1]",
        json.dumps({**RECORD, "number": "INC2", "impact": [1]}),
        json.dumps({**RECORD, "number": ""}),
        '{"number": "INC3", "state": "\\ud800"}',
        "{" * 3000,
        json.dumps({**RECORD, "number": "INC4", "short_description": "a\x00b"}),
        json.dumps({**RECORD, "number": "INC1", "state": "On Hold", "hold_reason": "Awaiting Vendor"}),
        "",
        json.dumps({**RECORD, "number": "INC5", "state": "Closed", "close_code": "User error", "close_notes": "x"}),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    run(acme, path, format="servicenow-records")
    assert imported(acme) == ["INC1", "INC1#2", "INC5"]
    codes = [code for _, _, code in rejected(path)]
    assert codes == ["bad_json", "bad_json", "bad_value", "no_number", "bad_json", "bad_json", "nul_character"]
    with acme.inside():
        first = Ticket.objects.get(pk=SourceRecord.objects.get(number="INC1").ticket_id)
        event = Event.objects.get(ticket_id=first.pk)
        assert (first.title, first.description, first.state, first.channel) == (
            "No network",
            "since\nnine",
            2,
            "import",
        )
        assert first.requester.name == "Rick Berzle"
        # Free text is beside the event, under its digest.
        assert set(event.payload["texts"]) == {"title", "description"}
        assert "network" not in str(event.payload)
    assert_chains(acme)


def test_a_number_that_comes_again_is_refused_unless_the_mapping_counts(acme: Desk, tmp_path: Path) -> None:
    shipped_text = (SHIPPED / "servicenow-records.toml").read_text().replace('repeated = "count"\n', "")
    (tmp_path / "mine.toml").write_text(shipped_text)
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in (RECORD, RECORD, {**RECORD, "number": "INC2"})))
    run(acme, path, mapping=str(tmp_path / "mine.toml"))
    assert imported(acme) == ["INC1", "INC2"]
    assert rejected(path) == [(2, "INC1", "repeated_number")]


def test_the_header_of_the_real_log_is_the_one_of_the_tests() -> None:
    from incidents.importing.mapping import load_mapping

    mapping = load_mapping(SHIPPED / "servicenow-log.toml")
    assert {*mapping.columns.values(), *mapping.keep.values()} <= set(HEADER)
