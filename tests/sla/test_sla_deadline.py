"""manage.py sla_deadline: two lines, or a word; and what is wrong with what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

OFFICE = {
    "timezone": "Europe/Berlin",
    "weekly": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "exceptions": {"2026-12-25": []},
}


def ask(folder: Path, calendar: Any, *args: str) -> list[str]:
    path = folder / "calendar.json"
    path.write_bytes(calendar if isinstance(calendar, bytes) else json.dumps(calendar).encode())
    out = StringIO()
    call_command("sla_deadline", "--calendar", str(path), *args, stdout=out)
    return out.getvalue().splitlines()


def test_the_zone_of_the_calendar_first_then_utc(tmp_path: Path) -> None:
    assert ask(tmp_path, OFFICE, "--at", "2026-12-24T15:00:00Z", "--target", "4h") == [
        "2026-12-28T12:00:00+01:00 Europe/Berlin",
        "2026-12-28T11:00:00+00:00 UTC",
    ]
    assert ask(
        tmp_path, OFFICE, "--at", "2026-11-23T10:00", "--target", "8h",
        "--pause", "2026-11-23T11:00/2026-11-23T12:00", "--pause", "2026-11-23T13:00:00+01:00/2026-11-23T14:00:00+01:00",
    )[0] == "2026-11-24T12:00:00+01:00 Europe/Berlin"  # fmt: skip


def test_never_and_paused(tmp_path: Path) -> None:
    assert ask(tmp_path, {"timezone": "UTC"}, "--at", "2026-11-23T10:00", "--target", "4h") == ["never"]
    pause = ("--pause", "2026-11-23T11:00/")
    assert ask(tmp_path, OFFICE, "--at", "2026-11-23T10:00", "--target", "4h", *pause) == ["paused"]
    assert ask(tmp_path, {"timezone": "UTC"}, "--at", "2026-11-23T10:00", "--target", "4h", *pause) == ["never"]


@pytest.mark.parametrize(
    ("calendar", "args", "said"),
    [
        (b"", (), "is not JSON"),
        (b"\xff\xfe", (), "is not UTF-8"),
        (b"[" * 100_000, (), "is not JSON"),
        (b"{}", (), "/timezone: timezone must be a name"),
        (OFFICE, ("--at", "tomorrow"), "/at: at must be an ISO 8601 time"),
        (OFFICE, ("--at", "0001-01-01T00:00"), "/at: at must be"),
        (OFFICE, ("--target", "soon"), "/target: Write a target as 4h"),
        (OFFICE, ("--pause", "2026-11-23T11:00"), "/pause: Write a pause as FROM/TO"),
        (OFFICE, ("--pause", "2026-11-23T12:00/2026-11-23T11:00"), "must not end before"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, calendar: Any, args: tuple[str, ...], said: str) -> None:
    given = {"--at": "2026-11-23T10:00", "--target": "4h"} | dict(zip(args[::2], args[1::2], strict=True))
    with pytest.raises(CommandError, match=said):
        ask(tmp_path, calendar, *(word for pair in given.items() for word in pair))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("sla_deadline", "--calendar", str(tmp_path / "none"), "--at", "2026-11-23", "--target", "4h")


def test_it_needs_no_database(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"timezone": "UTC", "always": true}')
    away = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "REDIS", "DJANGO"))}
    asked = ["--calendar", str(tmp_path / "c.json"), "--at", "2026-11-23T10:00Z", "--target", "90m"]
    done = subprocess.run(
        [sys.executable, "manage.py", "sla_deadline", *asked],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env=away,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("2026-11-23T11:30:00+00:00 UTC\n" * 2, "", 0)
