"""kill -9 of every part, and whatever a crash can leave: the next start needs no hand."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def _remember(place: Any, value: int) -> None:
    place.sql(f"CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES ({value})")


def _kept(place: Any) -> list[int]:
    return [n for (n,) in place.sql("SELECT n FROM kept ORDER BY n")]


def _redis(place: Any) -> Any:
    import redis

    return redis.Redis.from_url(place.env()["REDIS_URL"])


def test_kill_9_of_the_supervisor_takes_all_along_and_the_next_start_works(each_place: Any) -> None:
    place = each_place
    first = place.start()
    _remember(place, 1)
    _redis(place).rpush("queue", "job")
    time.sleep(1.1)  # appendfsync everysec
    first.send_signal(signal.SIGKILL)
    first.wait()
    # At once, while the orphans may still be going: the start has to wait for them or end them.
    second = place.start()
    assert second.pid != first.pid
    assert _kept(place) == [1]
    assert _redis(place).lrange("queue", 0, -1) == [b"job"]
    place.works()
    workers = [line for line in place.processes_here().values() if "standin.py pool" in line]
    assert len(workers) == 1, "the killed run's grandchildren are gone"


def test_kill_9_of_the_supervisor_alone_ends_every_child(place: Any) -> None:
    first = place.start()
    first.send_signal(signal.SIGKILL)
    first.wait()
    engines = ("postgres", "valkey", "standin.py web", "standin.py beat")
    place.wait(lambda: not any(name in line for line in place.processes_here().values() for name in engines), 15)
    assert "database system is shut down" in (place.state / "log" / "postgres.log").read_text(), "a clean shutdown"


@pytest.mark.parametrize("what", ["postgres -D", "postgres", "valkey-server", "standin.py web", "standin.py worker"])
def test_a_running_supervisor_starts_again_what_was_killed(place: Any, what: str) -> None:
    place.start()
    _remember(place, 2)
    _redis(place).set("kept", "2")
    time.sleep(1.1)
    name = {"postgres -D": "postgres", "postgres": "postgres", "valkey-server": "valkey"}.get(what, what.split()[-1])
    if what == "postgres":  # a backend, not the postmaster: PostgreSQL recovers by itself
        place.sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        main = place.pid_of("postgres")
        victim = next(p for p, line in place.processes_here().items() if "checkpointer" in line and p != main)
        os.kill(victim, signal.SIGKILL)
        place.wait(lambda: "reinitializing" in (place.state / "log" / "postgres.log").read_text())
    else:
        os.kill(place.pid_of(what), signal.SIGKILL)
        place.wait_for(f"{name}: started again")
        assert f"{name}: ended unexpectedly (killed by SIGKILL)" in place.said()

    def served() -> bool:
        try:
            place.works()
        except Exception:  # noqa: BLE001  # whatever it is, it may pass
            return False
        return True

    place.wait(served)
    assert _kept(place) == [2]
    assert _redis(place).get("kept") == b"2"
    if name == "worker":
        place.wait(lambda: sum("standin.py pool" in line for line in place.processes_here().values()) == 1)


def test_kill_9_of_everything_at_once(each_place: Any) -> None:
    place = each_place
    first = place.start()
    _remember(place, 3)
    for pid in (first.pid, *place.processes_here()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    first.wait()
    place.start()
    place.works()
    assert _kept(place) == [3]


def test_a_killed_initdb_leaves_nothing_that_looks_like_a_cluster(place: Any) -> None:
    process = place.start(ready=False)
    place.wait(lambda: list(place.state.glob("postgres.tmp*/PG_VERSION")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (place.state / "postgres").exists()
    place.start()
    place.works()
    assert list(place.state.glob("postgres.tmp*")) == []


def test_an_empty_data_folder_is_filled(place: Any) -> None:
    place.start()
    place.command("stop")
    owner = (place.state / "postgres").stat()
    shutil.rmtree(place.state / "postgres")
    (place.state / "postgres").mkdir(mode=0o700)
    os.chown(place.state / "postgres", owner.st_uid, owner.st_gid)
    place.start()
    place.works()


def test_a_stale_pid_file_whose_number_belongs_to_another(place: Any) -> None:
    place.start()
    _remember(place, 4)
    postmaster = place.pid_of("postgres")
    pid_file = place.state / "postgres" / "postmaster.pid"
    before = pid_file.read_text()
    place.command("stop")
    assert not os.path.exists(f"/proc/{postmaster}")
    # Our own number: a living process of the same user that is no PostgreSQL. PostgreSQL alone would refuse.
    pid_file.write_text(before.replace(str(postmaster), str(os.getpid()), 1))
    place.start()
    place.works()
    assert _kept(place) == [4]


def test_a_pid_file_that_is_rubbish(place: Any) -> None:
    place.start()
    place.command("stop")
    (place.state / "postgres" / "postmaster.pid").write_bytes(b"")
    process = place.start(ready=False)
    place.wait_for("Viable is ready", process)
    place.works()


def test_an_orphaned_server_is_ended_and_waited_for(place: Any) -> None:
    place.start()
    _remember(place, 5)
    recorded = place.pid_of("postgres")
    command = Path(f"/proc/{recorded}/cmdline").read_bytes().split(b"\0")[:-1]
    place.command("stop")
    owner = (place.state / "postgres").stat()
    arguments: dict[str, Any] = {}
    if os.geteuid() == 0:
        arguments = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    orphan = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, start_new_session=True, **arguments)
    place.wait(lambda: (place.state / "sock" / ".s.PGSQL.5432").exists())
    place.start()
    assert orphan.wait(10) == 0, "a clean shutdown, not a kill"
    place.works()
    assert _kept(place) == [5]


def test_an_orphaned_queue_is_ended_too(place: Any) -> None:
    """Two Valkeys on one folder would not notice each other; and Valkey hides the mark in its environment."""
    place.start()
    program = os.readlink(f"/proc/{place.pid_of('valkey-server')}/exe")
    place.command("stop")
    folder = place.state / "valkey"
    owner = folder.stat()
    arguments: dict[str, Any] = {}
    if os.geteuid() == 0:
        arguments = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    orphan = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(place.state / "sock" / "vk.sock"), "--dir", str(folder)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        **arguments,
    )
    place.wait(lambda: (place.state / "sock" / "vk.sock").exists())
    place.start()
    assert orphan.wait(10) == 0
    place.works()


def test_leftover_application_processes_are_ended(place: Any) -> None:
    place.start()
    place.command("stop")
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
        env={**os.environ, "VIABLE_CHILD": f"{place.state}:web"},
        start_new_session=True,
    )
    other = subprocess.Popen(["sleep", "600"], env={**os.environ, "VIABLE_CHILD": f"{place.state}x:web"})
    try:
        process = place.start(ready=False)
        assert orphan.wait(30) == -signal.SIGKILL, "it ignored SIGTERM"
        place.wait_for("Viable is ready", process)
        assert other.poll() is None, "another state folder's process is left alone"
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_ask_for_a_stop(place: Any, number: signal.Signals) -> None:
    supervisor = place.start()
    supervisor.send_signal(number)
    assert supervisor.wait(40) == 0
    assert place.processes_here() == {}


def test_a_stop_during_the_start(place: Any) -> None:
    supervisor = place.start(ready=False)
    place.wait(lambda: list(place.state.glob("postgres.tmp*")))
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(30) == 0
    assert "ready" not in place.said()
    assert place.processes_here() == {}
    place.start()
    place.works()
