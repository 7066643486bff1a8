"""`services -- CMD` and `test -- CMD`, own services instead of the embedded ones, and how manage.py finds them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from config.embedded.environment import default_state, load_embedded_environment

CHECKOUT = Path(__file__).resolve().parents[2]
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


def _left() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("viable-test-")}


def test_a_test_run_has_a_cluster_of_its_own_and_leaves_nothing(place: Any) -> None:
    before = _left()
    code = (
        "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_OWNER_URL'], autocommit=True);"
        "c.execute('CREATE DATABASE test_viable TEMPLATE viable'); c.execute('SET ROLE itsm_app');"
        "print(c.execute('SHOW fsync').fetchone()[0], os.environ['DJANGO_SETTINGS_MODULE'])"
    )
    ran = place.command("test", "--", sys.executable, "-c", code, DATABASE_URL="postgresql://not-this-one/x")
    assert (ran.returncode, ran.stdout.strip()) == (0, "off config.settings.test"), ran
    assert _left() <= before


def test_a_test_run_reaches_no_engine_that_the_environment_names(place: Any) -> None:
    held = place.folder / "url"
    held.write_text("postgresql://not-this-one/x")
    held.chmod(0o644)
    outside = {
        "DATABASE_URL_FILE": str(held),
        "DATABASE_OWNER_PASSWORD": "theirs",
        "REDIS_URL_FILE": str(held),
        "REDIS_PASSWORD_FILE": str(held),
        "CACHE_URL": "redis://not-this-one/0",
        "CACHE_URL_FILE": str(held),
        "LOG_LEVEL": "WARNING",
    }
    ran = place.command("test", "--", sys.executable, "-c", SHOW, **outside)
    assert ran.returncode == 0, ran
    env = json.loads(ran.stdout)
    named = {name: value for name, value in env.items() if name.startswith(("DATABASE_", "REDIS_", "CACHE_"))}
    assert set(named) == {"DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_PLATFORM_URL", "REDIS_URL"}
    assert all("not-this-one" not in value for value in named.values())
    assert env["LOG_LEVEL"] == "WARNING", "everything else is handed on"


@pytest.mark.slow
@pytest.mark.parametrize(("code", "expected"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_the_exit_status_is_the_commands(place: Any, code: str, expected: int) -> None:
    ran = place.command("test", "--", "sh", "-c", code)
    assert ran.returncode == expected


@pytest.mark.slow
def test_a_command_that_does_not_exist_is_named(place: Any) -> None:
    ran = place.command("test", "--", "/no/such/program")
    assert ran.returncode == 127
    assert "/no/such/program" in ran.stderr


def test_services_of_ones_own_start_no_engine(place: Any) -> None:
    url = "postgresql://itsm_app:x@db.example.org/viable"
    own = {"DATABASE_URL": url, "REDIS_URL": "redis://queue.example.org/0"}
    ran = place.command("services", "--", sys.executable, "-c", SHOW, **own)
    assert ran.returncode == 0, ran
    env = json.loads(ran.stdout)
    assert env["DATABASE_URL"] == url
    assert env["REDIS_URL"] == own["REDIS_URL"]
    assert "DATABASE_OWNER_URL" not in env, "an embedded owner beside a database of one's own would be fatal"
    assert not (place.state / "postgres").exists()
    assert not (place.state / "valkey").exists()


def test_a_database_of_ones_own_still_gets_an_embedded_valkey(place: Any) -> None:
    url = "postgresql://itsm_app:x@db.example.org/viable"
    ran = place.command("services", "--", sys.executable, "-c", SHOW, DATABASE_URL=url)
    env = json.loads(ran.stdout)
    assert env["DATABASE_URL"] == url
    assert env["REDIS_URL"].startswith("unix://")
    assert not (place.state / "postgres").exists()
    assert (place.state / "valkey").exists()


def test_running_on_a_database_of_ones_own_asks_for_the_owner(place: Any) -> None:
    ran = place.command("run", "--port", str(place.port), DATABASE_URL="postgresql://x@db.example.org/viable")
    assert ran.returncode == 1
    assert "DATABASE_OWNER_URL" in ran.stdout
    assert "roles.sql" in ran.stdout


def test_manage_py_finds_the_running_services(place: Any) -> None:
    place.start()
    found: dict[str, str] = {"VIABLE_STATE": str(place.state), "SECRET_KEY": "mine"}
    assert load_embedded_environment(found) == place.state
    assert found["DATABASE_OWNER_URL"] == place.env()["DATABASE_OWNER_URL"]
    assert found["SECRET_KEY"] == "mine", "what is set already wins"

    own = {"VIABLE_STATE": str(place.state), "DATABASE_URL": "postgresql://mine"}
    assert load_embedded_environment(own) == place.state
    assert {name for name in own if name.startswith("DATABASE")} == {"DATABASE_URL"}
    assert "REDIS_URL" in own

    place.command("stop")
    nothing: dict[str, str] = {"VIABLE_STATE": str(place.state)}
    assert load_embedded_environment(nothing) is None
    assert nothing == {"VIABLE_STATE": str(place.state)}


def test_default_state_differs_by_user_and_checkout() -> None:
    assert default_state(Path("/a/one"), root=False) == Path("/a/one/.state")
    first, second = default_state(Path("/a/one"), root=True), default_state(Path("/b/one"), root=True)
    assert first != second
    assert first.parent == second.parent == Path("/var/lib/viable")


@pytest.mark.slow
def test_a_killed_test_run_takes_its_engines_along(place: Any) -> None:
    before = _left()
    process = subprocess.Popen(
        [sys.executable, "-m", "config.embedded", "test", "--", "sleep", "60"],
        cwd=CHECKOUT,
        env=place.environment(),
        start_new_session=True,
    )
    try:
        place.output.touch()
        place.wait(
            lambda: any((Path(tempfile.gettempdir()) / f / "run" / "env.json").exists() for f in _left() - before)
        )
        place.state = Path(tempfile.gettempdir()) / (_left() - before).pop()
        assert place.processes_here()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    begun = time.monotonic()
    place.wait(lambda: not place.processes_here(), 10)
    assert time.monotonic() - begun < 5
    subprocess.run(["rm", "-rf", str(place.state)], check=True)


@pytest.mark.slow
def test_a_dump_by_the_programs_that_come_along(place: Any) -> None:
    made = 'psql -qc \'CREATE TABLE t (n int)\' "$DATABASE_OWNER_URL" && pg_dump "$DATABASE_OWNER_URL"'
    ran = place.command("services", "--", "sh", "-c", made)
    assert ran.returncode == 0, ran
    assert "CREATE TABLE public.t" in ran.stdout


@pytest.mark.slow
def test_roles_file_by_an_administrator_who_is_no_superuser(place: Any) -> None:
    """A managed PostgreSQL gives a role that may create roles and databases, but no superuser."""
    import psycopg

    place.start()
    roles = CHECKOUT / "docs" / "operations" / "roles.sql"
    env = place.env()
    url = env["DATABASE_OWNER_URL"].replace(env["DATABASE_OWNER_URL"].split("@")[0], "postgresql://admin:pw")
    secrets = json.loads((place.state / "secrets.json").read_text())
    superuser = url.replace("admin:pw", f"postgres:{secrets['postgres']}").replace("/viable?", "/postgres?")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP DATABASE viable")
        for role in ("itsm_owner", "itsm_app", "itsm_platform"):
            connection.execute(f"DROP ROLE {role}")
        connection.execute("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'pw'")
    programs = json.loads((place.state / "run" / "env.json").read_text())["programs"]
    command = [
        f"{programs}/psql",
        "-X",
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        "database=service desk",
        "-f",
        str(roles),
    ]
    passwords = {f"{role}_PASSWORD": f"it's {role}" for role in ("ITSM_OWNER", "ITSM_APP", "ITSM_PLATFORM")}
    for _ in range(2):
        ran = subprocess.run(
            [*command, url.replace("/viable?", "/postgres?")],
            env=place.environment(**passwords), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    without = subprocess.run(
        [*command, url.replace("/viable?", "/postgres?")], env=place.environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert without.returncode != 0
    assert "ITSM_OWNER_PASSWORD" in without.stderr
    with psycopg.connect(
        host=str(place.state / "sock"), user="itsm_owner", password="it's ITSM_OWNER", dbname="service desk"
    ) as connection:
        connection.execute("CREATE TABLE mine ()")
        assert connection.execute("SELECT count(*) FROM pg_extension").fetchone() == (4,)
        assert connection.execute("SELECT proleakproof FROM pg_proc WHERE proname = 'ts_match_vq'").fetchone() == (
            False,
        )
