"""The gate over routes, verbs and commands really ends a run that left something out, alone and over several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reached import expected, our_commands

ROOT = Path(__file__).resolve().parents[1]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """A run of one small file, as if that were the whole suite; a file of its own, so that it cannot call itself."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "testpaths=tests/test_env.py"]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("processes", ["0", "1"])
def test_what_nobody_used_ends_the_run(processes: str) -> None:
    left = run("--every-route", "-n", processes)
    assert left.returncode == 1, left.stdout[-2000:]
    for line in (
        "GET queue/ (answers: never asked)",
        "POST incidents/<number:number>/resolve/ (answers: never asked)",
        "PATCH api/v1/incidents/<str:key>/ (answers: never asked)",
        "manage.py verify_events",
    ):
        assert line in left.stdout
    assert f"Never used by a test of this run ({len(expected()) + len(our_commands())})" in left.stdout


def test_a_part_of_the_suite_is_not_judged() -> None:
    for options in (("-k", "env"), ("tests/test_env.py",)):
        some = run("--every-route", *options)
        assert (some.returncode, "every route: NOT JUDGED, only some" in some.stdout) == (0, True), some.stdout
    assert "every route" not in run().stdout
