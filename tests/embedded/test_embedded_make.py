"""The Makefile and scripts/venv.py, as a person at a terminal uses them."""

from __future__ import annotations

import importlib.util
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def _read_until(terminal: int, text: str, seconds: float = 60) -> str:
    said, deadline = "", time.monotonic() + seconds
    while text not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
    return said


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_stops_everything_in_order(place: Any) -> None:
    """The terminal sends Ctrl-C to the whole group: the children must not take it as theirs."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(CHECKOUT)
        standin = str(Path(__file__).with_name("standin.py"))
        os.execve(
            "/bin/sh",
            ["sh", "-c", f"'{sys.executable}' '{standin}' run '{place.state}' {place.port}; echo ended $?"],
            place.environment(TERM="xterm"),
        )
    try:
        assert "✓" in _read_until(terminal, "Viable is ready")
        os.write(terminal, b"\x03")
        said = _read_until(terminal, "Stopped after")
    finally:
        os.waitpid(child, 0)
        os.close(terminal)
    stops = [said.index(f"stopping {name}") for name in ("web", "worker", "beat", "sweeper", "valkey", "postgres")]
    assert stops == sorted(stops)
    order = (place.state / "order.txt").read_text()
    assert order.index("web stops") < order.index("worker stops") < order.index("beat stops")
    assert place.processes_here() == {}


@pytest.mark.slow
def test_a_terminal_that_goes_away_stops_it_too(place: Any) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(CHECKOUT)
        standin = str(Path(__file__).with_name("standin.py"))
        os.execve(sys.executable, [sys.executable, standin, "run", str(place.state), str(place.port)],
                  place.environment(TERM="xterm"))  # fmt: skip
    _read_until(terminal, "Viable is ready")
    os.close(terminal)
    place.output.touch()
    place.wait(lambda: os.waitpid(child, os.WNOHANG)[0] == child, 40)
    place.wait(lambda: place.processes_here() == {}, 5)
    assert "database system is shut down" in (place.state / "log" / "postgres.log").read_text()


def _venv_script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("venv_script", CHECKOUT / "scripts" / "venv.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_an_old_or_incomplete_python_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    script = _venv_script()
    for found, problem in (
        ([], "Python 3.11 or newer is needed, and there is none"),
        ([((3, 9, 2), True, "/usr/bin/python3")], "there is only Python 3.9.2 (/usr/bin/python3)"),
        ([((3, 12, 1), False, "/usr/bin/python3")], "/usr/bin/python3 lacks the modules venv and ensurepip"),
    ):
        with pytest.raises(SystemExit) as ended:
            script.refuse(found)
        assert problem in str(ended.value)
        assert "Remedy: " in str(ended.value)


def test_the_named_python_is_the_one_used(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _venv_script()
    monkeypatch.setenv("PYTHON", "/no/such/python")
    with pytest.raises(SystemExit, match="cannot be started"):
        script.choose_python()
    monkeypatch.setenv("PYTHON", sys.executable)
    assert script.choose_python() == sys.executable


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: others just take the first Python")
def test_root_prefers_a_python_that_its_services_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    script = _venv_script()
    closed, readable = ((3, 13, 0), True, "/closed/py"), ((3, 11, 2), True, "/usr/bin/python3")
    answers = {"a": closed, "b": readable}
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setattr(script, "CANDIDATES", ("a", "b"))

    def ask(program: str, unprivileged: bool = False) -> Any:
        if unprivileged:
            return readable if program == readable[2] else None
        return answers[program]

    monkeypatch.setattr(script, "ask", ask)
    assert script.choose_python() == "/usr/bin/python3"


def test_lock_files_carry_hashes_and_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (CHECKOUT / name).read_text()
        entries = [block for block in text.split("\n") if "==" in block and not block.startswith((" ", "#"))]
        assert entries
        assert all(line.endswith("\\") for line in entries)
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text


def test_make_without_python_says_so(tmp_path: Path) -> None:
    for tool in ("make", "sh", "awk"):
        found = subprocess.run(["sh", "-c", f"command -v {tool}"], capture_output=True, text=True, check=True).stdout
        (tmp_path / tool).symlink_to(found.strip())
    ran = subprocess.run(["make", "run"], cwd=CHECKOUT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert ran.returncode != 0
    assert "no python3 found" in ran.stderr + ran.stdout
    listed = subprocess.run(["make"], cwd=CHECKOUT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert "make run" in listed.stdout
