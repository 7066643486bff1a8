"""Starting and stopping in order, as root and as an ordinary user: what `make run` promises on a good day."""

from __future__ import annotations

import os
import signal
import socket
import stat
from typing import Any

import pytest


def test_a_run_from_cold_start_to_ctrl_c(each_place: Any) -> None:
    place = each_place
    supervisor = place.start()
    said = place.said()
    assert "PostgreSQL: new database cluster" in said
    assert f"http://127.0.0.1:{place.port}" in said
    assert "agent@acme.example" in said
    assert "demo-pw" in said
    place.works()

    web = place.web()
    assert web["uid"] != 0, "nothing that serves requests runs as root"
    assert "DATABASE_OWNER_URL" not in web["env"], "the web process must not be able to become the owner"
    assert {"DATABASE_URL", "DATABASE_PLATFORM_URL", "REDIS_URL", "SECRET_KEY"} <= set(web["env"])
    assert web["env"]["VIABLE_STATE"] == str(place.state)
    assert web["env"]["VIABLE_ADDRESS"] == f"http://127.0.0.1:{place.port}"
    for pid, line in place.processes_here().items():
        if pid != supervisor.pid:
            assert os.stat(f"/proc/{pid}").st_uid != 0, line

    for name in ("run/env.json", "secrets.json", "demo.json", "run/lock", "log/postgres.log"):
        assert stat.S_IMODE((place.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((place.state / "sock").stat().st_mode) == 0o700

    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(40) == 0
    order = (place.state / "order.txt").read_text().split("\n")
    assert [line for line in order if line in ("web stops", "worker stops", "beat stops", "sweeper stops")] == [
        "web stops", "worker stops", "beat stops", "sweeper stops",
    ]  # fmt: skip
    said = place.said()
    stops = [said.index(f"stopping {name}") for name in ("web", "worker", "beat", "sweeper", "valkey", "postgres")]
    assert stops == sorted(stops)
    assert "database system is shut down" in (place.state / "log" / "postgres.log").read_text()
    assert place.processes_here() == {}
    assert not (place.state / "run" / "env.json").exists()


def test_roles_are_what_the_documented_file_says(place: Any) -> None:
    place.start()
    roles = place.sql(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles"
        " WHERE rolname LIKE 'itsm%' ORDER BY 1"
    )
    assert roles == [(name, False, False, False, False) for name in ("itsm_app", "itsm_owner", "itsm_platform")]
    assert place.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'viable'") == [("itsm_owner",)]
    extensions = {name for (name,) in place.sql("SELECT extname FROM pg_extension")}
    assert {"btree_gin", "pg_trgm", "unaccent"} <= extensions
    for role in ("itsm_app", "itsm_platform"):
        assert place.sql(f"SELECT has_schema_privilege('{role}', 'public', 'CREATE')") == [(False,)]
    assert place.sql("SHOW listen_addresses") == [("",)]
    assert place.sql("SHOW data_checksums") == [("on",)]
    assert place.sql("SELECT lower('ÉÄÑ')") == [("éäñ",)]
    assert place.sql("SELECT count(*) FROM pg_proc WHERE proname = 'ts_match_vq' AND proleakproof") == [(1,)]
    rules = (place.state / "postgres" / "pg_hba.conf").read_text()
    methods = {line.split()[-1] for line in rules.splitlines() if line.strip() and not line.startswith("#")}
    assert methods == {"scram-sha-256"}


def test_second_start_says_who_runs_and_where(place: Any) -> None:
    first = place.start()
    address = f"http://127.0.0.1:{place.port}"
    for action in (("run", "--port", "1"), ("services",), ("clean",)):
        second = place.command(*action)
        assert second.returncode == 3, second
        assert f"already running: PID {first.pid}, {address}" in second.stdout + second.stderr
    place.works()


def test_other_commands_join_stop_and_clean(place: Any) -> None:
    supervisor = place.start()
    environment = place.env()
    printed = place.command("env")
    assert f"DATABASE_URL={environment['DATABASE_URL']}" in printed.stdout
    joined = place.command("services", "--", "sh", "-c", "echo $DATABASE_URL; exit 5")
    assert (joined.returncode, joined.stdout.strip()) == (5, environment["DATABASE_URL"])
    place.works()

    stopped = place.command("stop")
    assert stopped.returncode == 0, stopped
    assert supervisor.wait(20) == 0
    assert place.processes_here() == {}
    assert place.command("env").returncode == 1
    assert "not running" in place.command("stop").stderr
    assert place.command("clean").returncode == 0
    assert not place.state.exists()


@pytest.mark.slow
def test_the_demo_is_seeded_once_and_follows_the_port(place: Any) -> None:
    place.start()
    place.command("stop")
    assert "demo data" in place.said()
    old, place.port = place.port, place.port + 1 if place.port < 65535 else place.port - 1
    place.start()
    assert "demo data" not in place.said()
    demo = (place.state / "demo.json").read_text()
    assert f":{place.port}/acme/api/v1" in demo
    assert f":{old}" not in demo
    assert "addresses of the demo" in place.said(), "by the one program that writes the file"
    assert (place.state / "demo.json").stat().st_uid == place.state.joinpath("sock").stat().st_uid


def test_a_port_in_use_is_refused_before_anything_starts(place: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()
        refused = place.command("run", "--port", str(place.port))
    assert refused.returncode == 1
    assert f"Port {place.port} on 127.0.0.1 is in use" in refused.stdout
    assert "make run PORT=" in refused.stdout
    assert not (place.state / "postgres").exists()


def test_a_port_that_is_none_is_refused(place: Any) -> None:
    for port in ("0", "65536", "http", "-1", "８０８０", ""):
        refused = place.command("run", f"--port={port}")
        assert refused.returncode == 1, (port, refused)
        assert "is not a port number" in refused.stdout, (port, refused)
    assert not place.state.exists()


def test_a_child_that_never_works_ends_the_start_with_its_log(place: Any) -> None:
    process = place.start("web", ready=False)
    assert process.wait(60) == 1
    said = place.said()
    assert "web ended at its start (exit status 7)" in said
    assert f"{place.state}/log/web.log" in said
    assert said.count("cannot import the thing") == 1, "said once, by the refusal"
    assert place.processes_here() == {}


@pytest.mark.slow
def test_a_child_that_keeps_dying_ends_the_run_with_its_log(place: Any) -> None:
    process = place.start()
    (place.state / "break").touch()
    os.kill(place.pid_of("standin.py web"), signal.SIGKILL)
    assert process.wait(60) == 1
    said = place.said()
    assert "web ended 5 times in a row" in said
    assert f"{place.state}/log/web.log" in said
    assert "cannot import the thing" in said
    assert place.processes_here() == {}
    assert "database system is shut down" in (place.state / "log" / "postgres.log").read_text()
