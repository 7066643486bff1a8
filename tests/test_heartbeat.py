"""Health checks believe the heartbeat file, so it must stop when the work stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.committed import CommittedDatabase

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
WORKER = ["worker", "--pool", "solo", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]


@contextmanager
def celery(arguments: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "config.celery", *arguments]
    process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_worker_beats_until_it_hangs(committed_db: CommittedDatabase, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    with celery(WORKER, {**committed_db.environ, "HEARTBEAT_PATH": str(file)}) as worker:
        assert wait_for(file.exists, 60), "the worker never touched its file"
        first = file.stat().st_mtime_ns
        assert wait_for(lambda: file.stat().st_mtime_ns > first, 15), "the worker touched its file only once"
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.5)
        stopped = file.stat().st_mtime_ns
        assert not wait_for(lambda: file.stat().st_mtime_ns > stopped, 7)


def test_beat_beats_while_the_broker_accepts(committed_db: CommittedDatabase, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    beat = ["beat", "--pidfile", "", "--schedule", str(tmp_path / "schedule"), "--loglevel", "WARNING"]
    with celery(beat, {**committed_db.environ, "HEARTBEAT_PATH": str(file)}):
        assert wait_for(file.exists, 60), "beat never touched its file"
        first = file.stat().st_mtime_ns
        assert wait_for(lambda: file.stat().st_mtime_ns > first, 15), "beat touched its file only once"


def test_without_a_broker_there_is_no_heartbeat(committed_db: CommittedDatabase, tmp_path: Path) -> None:
    nobody = {**committed_db.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    files = {name: tmp_path / name for name in ("worker", "beat")}
    beat = ["beat", "--pidfile", "", "--schedule", str(tmp_path / "schedule"), "--loglevel", "WARNING"]
    with (
        celery(WORKER, {**nobody, "HEARTBEAT_PATH": str(files["worker"])}) as one,
        celery(beat, {**nobody, "HEARTBEAT_PATH": str(files["beat"])}) as other,
    ):
        assert not wait_for(lambda: any(file.exists() for file in files.values()), 12)
        assert (one.poll(), other.poll()) == (None, None), "it ended instead of waiting for the broker"
