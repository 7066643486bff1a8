"""The embedded PostgreSQL: make its cluster, clear what a crash left, run it, prepare its database."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from .child import Service
from .environment import CHECKOUT
from .errors import Refusal
from .identity import refuse_nameless
from .processes import (
    LINUX,
    MARK,
    Escalation,
    command_line,
    end_strangers,
    exists,
    processes_in,
    spawn,
)
from .state import StateFolder

DATABASE = "viable"
#: There while an upgrade puts the new cluster in the old one's place (upgrade.py).
JOURNAL = "upgrade.json"
ROLES_FILE = CHECKOUT / "docs" / "operations" / "roles.sql"
STOP: Escalation = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))  # fast, then immediate; recovery is safe
END_ORPHAN: Escalation = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "dynamic_shared_memory_type": "mmap",  # a container's /dev/shm is too small for it
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
    "log_checkpoints": "off",
    "password_encryption": "scram-sha-256",
}
THROW_AWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
}


class Postgres:
    """The cluster of one state folder."""

    def __init__(
        self,
        state: StateFolder,
        programs: Path,
        secrets: Mapping[str, str],
        throw_away: bool,
        folder: Path | None = None,
    ) -> None:
        self.state = state
        #: The data folder; another one than the state folder's own only while a new cluster is being made beside it.
        self.data = folder or state.cluster
        self.programs = programs
        self.secrets = secrets
        self.throw_away = throw_away
        self.sockets = state.sockets()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.state.path)}

    def create(self) -> bool:
        """Make the cluster if there is none; say whether it was made.

        initdb works in a temporary folder that is renamed when it is whole, so one that was killed leaves
        nothing that looks like a cluster. Raises Refusal for a cluster of another version or a broken one.
        """
        for old in self.state.path.glob("postgres.tmp*"):
            shutil.rmtree(old)
        if self.data.exists() and any(self.data.iterdir()):
            self._refuse_foreign_cluster()
            return False
        if self.data == self.state.cluster and (self.state.path / JOURNAL).exists():
            raise Refusal("An upgrade of the database was interrupted at its last step.", "make upgrade-db finishes it")
        refuse_nameless(self.state.account)
        partial = self.state.folder_for_account(f"postgres.tmp{os.getpid()}")
        password_file = self.sockets / ".pw"
        with contextlib.suppress(FileNotFoundError):
            password_file.unlink()
        handle = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, self.secrets["postgres"].encode())
            os.fchown(handle, self.state.account.uid, self.state.account.gid)
            command = [
                str(self.programs / "initdb"),
                f"--pgdata={partial}",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--data-checksums",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ]
            initdb = spawn(
                [*command, "--no-sync"] if self.throw_away else command,
                env={**self._environment(), MARK: f"{self.state.mark}:initdb"},
                account=self.state.account,
                cwd=self.sockets,
                output=subprocess.PIPE,
                death_signal=signal.SIGTERM,
            )
            said = initdb.communicate()[0].decode(errors="replace")
        finally:
            os.close(handle)
            password_file.unlink()
        if initdb.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            raise Refusal(f"initdb failed ({initdb.returncode}): {said.strip()[-1500:]}")
        if self.data.exists():
            self.data.rmdir()
        os.rename(partial, self.data)
        if not self.throw_away:
            parent = os.open(self.state.path, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(parent)
            os.close(parent)
        return True

    def _refuse_foreign_cluster(self) -> None:
        """Refuse a data folder that this PostgreSQL cannot or should not open."""
        version = version_of(self.data)
        if not version:
            raise Refusal(
                f"{self.data} is not a whole PostgreSQL cluster.",
                f"restore it from a backup, or begin with an empty one: mv {self.data} {self.data}.broken",
            )
        major = major_of(self.programs)
        if version != major:
            older = version.isdigit() and int(version) < int(major)
            remedy = "make upgrade-db" if older else "go back to the release that made it"
            raise Refusal(
                f"{self.data} was made by PostgreSQL {version}, the installed wheel brings {major}.",
                f"{remedy} (docs/operations/running.md, 'A new major version'); nothing in {self.data} was changed",
            )
        owner = self.data.stat().st_uid
        if owner != self.state.account.uid:
            raise Refusal(
                f"{self.data} belongs to user id {owner}, the services would run as {self.state.account.name}.",
                f"VIABLE_USER={owner} make run",
            )

    def clear_remains(self) -> list[int]:
        """End servers that an earlier supervisor left on this data folder; remove a misleading pid file.

        We hold the lock, so whoever still works in the folder is an orphan. A postmaster.pid whose number now
        belongs to another program (or to a zombie), or which is torn, makes PostgreSQL refuse to start; it is
        deleted, but only once nobody works in the folder, for the file is also what keeps two servers apart.
        """

        def strangers() -> list[int]:
            return processes_in(self.data, "postgres")

        ended = end_strangers(strangers, END_ORPHAN)
        if strangers():
            raise Refusal(f"An orphaned PostgreSQL works in {self.data} and does not end: {strangers()}.")
        pid_file = self.data / "postmaster.pid"
        pid = self._recorded_pid(pid_file)
        # On Linux the search above has already proved that nobody works here, whatever has that number now.
        if not LINUX and pid is not None and "postgres" in (other := command_line(pid)) and str(self.data) in other:
            raise Refusal(f"PostgreSQL (PID {pid}) still works in {self.data}.")
        if pid is None or exists(pid):
            # The file of a number that is free stays: PostgreSQL checks the shared memory it names, and removes it.
            pid_file.unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):  # the lock file carries the same number
            (self.sockets / name).unlink(missing_ok=True)
        return ended

    @staticmethod
    def _recorded_pid(file: Path) -> int | None:
        """Return the process id in postmaster.pid; None if a crash left it empty or torn."""
        try:
            return abs(int(file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])) or None
        except (OSError, ValueError):
            return None

    def _is_ready(self, pid: int) -> bool:
        """Read the server's own word for it, as pg_ctl does: the eighth line of postmaster.pid."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def service(self) -> Service:
        """Describe the server to the supervisor; it runs directly, without pg_ctl, to be our own child."""
        settings = {**SETTINGS, **(THROW_AWAY_SETTINGS if self.throw_away else {})}
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.sockets)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return Service(
            name="postgres",
            command=command,
            env=self._environment(),
            cwd=self.data,
            account=self.state.account,
            stop=STOP,
            death_signal=signal.SIGINT,
            before_start=lambda: void(self.clear_remains),
            ready=self._is_ready,
            ready_seconds=300.0,  # crash recovery replays the log first
            tidy_group=False,  # its processes end by themselves, and killing one would mean recovery
        )

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return the libpq address for a role, over the socket."""
        return f"postgresql://{role}:{quote(self.secrets[role], safe='')}@/{database}?host={self.sockets}"

    def psql(self, *arguments: str, database: str = "postgres", extra: Mapping[str, str] | None = None) -> str:
        """Run psql as the superuser; return what it printed. Raises Refusal with its complaint."""
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return self.client("psql", *options, *arguments, database=database, extra=extra)

    def client(
        self, program: str, *arguments: str, database: str = "postgres", extra: Mapping[str, str] | None = None
    ) -> str:
        """Run one of PostgreSQL's own clients as the superuser; return what it printed. Raises Refusal."""
        environment = {
            **self._environment(),
            "PGHOST": str(self.sockets),
            "PGUSER": "postgres",
            "PGPASSWORD": self.secrets["postgres"],
            "PGDATABASE": database,
            "PGCONNECT_TIMEOUT": "10",
            **(extra or {}),
        }
        result = subprocess.run(
            [str(self.programs / program), *arguments],
            env=environment,
            cwd=self.sockets,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise Refusal(f"{program} failed: {(result.stderr or result.stdout).strip()[-1500:]}")
        return result.stdout

    def bootstrap(self) -> None:
        """Make roles, database and extensions by the same file that an operator runs by hand.

        Passwords go by the environment, where other users cannot see them. The throw-away cluster of a test
        run additionally lets the owner create databases and step into the other roles.
        """
        passwords = {f"{r.upper()}_PASSWORD": self.secrets[r] for r in ("itsm_owner", "itsm_app", "itsm_platform")}
        self.psql("-v", f"database={DATABASE}", "-f", str(ROLES_FILE), extra=passwords)
        if self.throw_away:
            self.psql(
                "-c", "ALTER ROLE itsm_owner CREATEDB",
                "-c", "GRANT itsm_app, itsm_platform TO itsm_owner WITH INHERIT FALSE, SET TRUE",
            )  # fmt: skip


def major_of(programs: Path) -> str:
    """The major version of the server among these programs, such as "18"."""
    command = [str(programs / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2].split(".")[0]


def version_of(cluster: Path) -> str:
    """The major version that made a data folder, "" if it is not a whole one."""
    try:
        whole = (cluster / "global" / "pg_control").stat().st_size > 0
        return (cluster / "PG_VERSION").read_text(encoding="ascii").strip() if whole else ""
    except (OSError, ValueError):
        return ""


def void(action: Callable[[], object]) -> None:
    """Call for the effect only."""
    action()
