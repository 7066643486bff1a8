"""The state folder: everything Viable keeps on this machine, and the lock that makes one supervisor the only one.

Layout: `run/` lock, env.json, roles of the moment; `log/`; `secrets.json`; `bin/` copied programs; `postgres/`
and `valkey/` data; `sock/` sockets; `demo.json`, media and whatever the application adds. Under root the folder
and `run/`, `log/` stay root's and the folder is sticky, so that a service cannot put a link where root writes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Refusal
from .identity import Account, blocked_at, own_account, service_account

MARKER = "viable-state"
SOCKET_LIMIT = 100  # sun_path holds 107 bytes (103 on macOS), and ".s.PGSQL.5432" comes on top
SECRET_NAMES = ("secret_key", "postgres", "itsm_owner", "itsm_app", "itsm_platform")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable to its owner only; a crash leaves the old or the new one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read_document(path: Path) -> dict[str, Any] | None:
    """Read a JSON object without following a link; None if it is not there or not whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


@dataclass
class StateFolder:
    """A state folder on disk. Call `open` before anything else, then `lock` before starting services."""

    path: Path
    account: Account = field(default_factory=own_account)
    _lock: int | None = None

    @property
    def run(self) -> Path:
        """Folder of the lock and of env.json."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """Folder of the log files, one for each process."""
        return self.path / "log"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data folder."""
        return self.path / "postgres"

    @property
    def mark(self) -> str:
        """What marks the processes of this folder in their environment."""
        return str(self.path)

    def open(self, user: str = "") -> None:
        """Create or check the folder and choose the services' account.

        Raises Refusal naming the folder that is in the way: not ours, not creatable, or not readable to the
        account the services run as. Permissions of parents are never changed.
        """
        try:
            fresh = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
            entry = os.lstat(self.path)
        except OSError as error:
            raise Refusal(
                f"Cannot create the state folder {self.path}: {error.strerror}: {error.filename}.",
                "name another one: make run STATE=/path/to/folder",
            ) from None
        if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.geteuid():
            raise Refusal(
                f"The state folder {self.path} belongs to user id {entry.st_uid}, not to you ({os.geteuid()}).",
                "start as its owner, or name another one: make run STATE=/path/to/folder",
            )
        if not fresh and not (self.path / MARKER).exists() and any(self.path.iterdir()):
            raise Refusal(
                f"{self.path} is not empty and not a state folder of Viable.",
                "name an empty or a new folder: make run STATE=/path/to/folder",
            )
        self.account = service_account(self.cluster, user)
        if os.geteuid() == 0:
            os.chown(self.path, 0, self.account.gid)
            os.chmod(self.path, 0o1770)
        else:
            os.chmod(self.path, 0o700)
        (self.path / MARKER).touch(mode=0o600)  # first: a start killed here must not look like a foreign folder
        for folder in (self.run, self.log):
            folder.mkdir(mode=0o700, exist_ok=True)
        if folder_name := blocked_at(self.account, self.path, os.R_OK | os.W_OK | os.X_OK):
            raise Refusal(
                f"The account {self.account.name} cannot enter {folder_name}, which the state folder needs.",
                "keep the state elsewhere, for example: make run STATE=/var/lib/viable/state",
            )

    def lock(self, about: dict[str, Any]) -> None:
        """Take the lock for life; refuse with the other supervisor's number and address if there is one."""
        descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            other = self.holder()
            address = other.get("address") or "services only"
            raise Refusal(
                f"already running: PID {other.get('pid', '?')}, {address} (state {self.path})",
                "make stop, or start a second one with its own make run PORT=8001 STATE=/path/to/folder",
                exit_code=3,
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise Refusal(f"{self.run} is on a file system without locks: {error.strerror}.") from None
        self._lock = descriptor
        self.describe(about)
        with contextlib.suppress(FileNotFoundError):
            (self.run / "env.json").unlink()

    def describe(self, about: dict[str, Any]) -> None:
        """Write into the lock file what a second start and `stop` will say about us."""
        assert self._lock is not None
        text = json.dumps({"pid": os.getpid(), **about}).encode()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text, 0)

    def unlock(self) -> None:
        """Give the lock back (the kernel does it for a process that is killed)."""
        if self._lock is not None:
            for name in ("env.json", "children.json"):
                with contextlib.suppress(FileNotFoundError):
                    (self.run / name).unlink()
            with contextlib.suppress(OSError):  # not there, or someone else's, or something still in it
                self._sockets_elsewhere().rmdir()
            os.close(self._lock)
            self._lock = None

    def holder(self) -> dict[str, Any]:
        """Return what the running supervisor said about itself."""
        return read_document(self.run / "lock") or {}

    def folder_for_account(self, name: str) -> Path:
        """Create a private folder of the services' account inside the state folder."""
        folder = self.path / name
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            entry = os.lstat(folder)
            if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != self.account.uid:
                raise Refusal(
                    f"{folder} belongs to user id {entry.st_uid}, but the services run as {self.account.name}.",
                    f"VIABLE_USER={entry.st_uid} make run, or move the folder away",
                ) from None
            return folder
        if os.geteuid() != self.account.uid:
            os.chown(folder, self.account.uid, self.account.gid)
        return folder

    def secrets(self) -> dict[str, str]:
        """Return the passwords and keys of this installation, made once and kept.

        They are on disk before the cluster exists. If the file is lost while the cluster is there, nobody knows
        the passwords any more: that is refused instead of answered with new ones that would not fit.
        """
        path = self.path / "secrets.json"
        known = read_document(path)
        if known is not None and all(isinstance(known.get(name), str) for name in SECRET_NAMES):
            return {name: known[name] for name in SECRET_NAMES}
        if self.cluster.exists():
            raise Refusal(
                f"{path} is missing or damaged, but the database {self.cluster} needs its passwords.",
                "put the file back from a backup, or begin anew (deletes the data): make clean",
            )
        made = {name: secrets.token_urlsafe(48 if name == "secret_key" else 24) for name in SECRET_NAMES}
        write_private(path, json.dumps(made, indent=1))
        return made

    def sockets(self) -> Path:
        """Return a private folder for the sockets whose path is short and plain enough for every client.

        Inside the state folder where that works (nobody else can get in its way there), else under /tmp.
        """
        inside = self.path / "sock"
        if len(str(inside)) <= SOCKET_LIMIT - 15 and re.fullmatch(r"[\w./-]+", str(inside), re.ASCII):
            folder = self.folder_for_account("sock")
            if _takes_sockets(folder):
                return folder
        folder = self._sockets_elsewhere()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, self.account.uid, self.account.gid)
        entry = os.lstat(folder)
        private = stat.S_ISDIR(entry.st_mode) and stat.S_IMODE(entry.st_mode) == 0o700
        if not private or entry.st_uid != self.account.uid:
            raise Refusal(
                f"{folder} exists and is not a private folder of {self.account.name}: someone else made it.",
                f"remove it, or use a shorter state folder than {self.path}",
            )
        return folder

    def _sockets_elsewhere(self) -> Path:
        key = hashlib.sha256(str(self.path).encode()).hexdigest()[:10]
        return Path("/tmp") / f"viable-{self.account.uid}-{key}"  # noqa: S108  # `sockets` checks whose it is

    def publish(self, env: dict[str, str], **about: Any) -> None:
        """Write env.json for other commands, and say that the services are ready."""
        write_private(self.run / "env.json", json.dumps({"env": env, **about}, indent=1))

    def remove(self) -> None:
        """Delete the folder, if it is one of ours and nothing runs in it."""
        if not (self.path / MARKER).is_file():
            raise Refusal(f"{self.path} is not a state folder of Viable: nothing removed.")
        self.account = service_account(self.cluster)
        self.lock({"address": "being removed"})
        elsewhere = self._sockets_elsewhere()
        if elsewhere.is_dir() and not elsewhere.is_symlink() and elsewhere.stat().st_uid == self.account.uid:
            shutil.rmtree(elsewhere)
        shutil.rmtree(self.path)
        self.unlock()


def _takes_sockets(folder: Path) -> bool:
    """Say whether the file system can hold a socket at all (some shared folders cannot)."""
    probe = folder / f".probe{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(probe))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENOSPC, errno.EDQUOT):
                raise Refusal(f"Cannot create a socket in {folder}: {error.strerror}.") from None
            return False
    probe.unlink()
    return True
