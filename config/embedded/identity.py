"""Which account the services run as, and whether that account can really read what it needs.

Started by root, nothing that serves requests stays root: PostgreSQL refuses to, and the rest should not.
Permissions are never changed to make room; a folder that is in the way is named instead.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Refusal

# Not `postgres`: a web process under that account could log in to the machine's own PostgreSQL as superuser.
PREFERRED_ACCOUNTS = ("viable", "nobody")


@dataclass(frozen=True)
class Account:
    """An existing account of the machine that the services are started as."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what subprocess needs to become this account (nothing if we are it already)."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_named(name: str) -> Account:
    """Look an account up by name or number; refuse one that does not exist, and root."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise Refusal(
            f"There is no account {name!r} on this machine (VIABLE_USER).",
            "name an existing one, or create it: useradd --system --user-group --no-create-home viable",
        ) from None
    if entry.pw_uid == 0:
        raise Refusal("The services do not run as root (VIABLE_USER).", "name an unprivileged account")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def own_account() -> Account:
    """Return the account of this process; its name is empty if the uid has no passwd entry."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = ""
    return Account(name, os.geteuid(), os.getegid())


def service_account(cluster: Path, named: str = "") -> Account:
    """Choose the account for the services.

    An ordinary user's services run as that user. For root: the one named, else the owner of the existing
    cluster (so that an account created later does not lock the data out), else the first preferred one.
    """
    if os.geteuid() != 0:
        return own_account()
    if named:
        return account_named(named)
    if cluster.is_dir() and (owner := cluster.stat().st_uid) != 0:
        return account_named(str(owner))
    for name in PREFERRED_ACCOUNTS:
        try:
            return account_named(name)
        except Refusal:
            continue
    raise Refusal(
        "Started as root, but there is no account viable or nobody for the services to run as.",
        "useradd --system --user-group --no-create-home viable",
    )


def refuse_nameless(account: Account) -> None:
    """Refuse a uid without a passwd entry: initdb looks its name up (the server itself would not)."""
    if not account.name:
        raise Refusal(
            f"User id {account.uid} has no entry in the password file, and initdb needs the account's name.",
            "start as a user that exists, or set DATABASE_URL to a PostgreSQL of your own",
        )


def as_account(account: Account, question: Callable[[], str]) -> str:
    """Ask a question in a forked process that has really become the account; return its answer."""
    if os.geteuid() == account.uid:
        return question()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "could not become the account"
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            answer = question()
        except Exception as error:  # noqa: BLE001  # a fork must answer and end, whatever happened
            answer = f"{type(error).__name__}: {error}"
        finally:
            os.write(writer, json.dumps(answer).encode()[:4000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return str(json.loads(said))


def _blocked(path: Path, mode: int) -> str:
    """Return the first part of the path that this process may not use, "" if there is none."""
    for part in [*reversed(path.parents), path]:
        if part == path:
            wanted = mode
        elif part.is_symlink():
            continue
        else:
            wanted = os.X_OK
        try:
            part.stat()
        except PermissionError:
            return str(part.parent)
        except OSError:
            return str(part)
        if not os.access(part, wanted):
            return str(part)
    return ""


def blocked_at(account: Account, path: Path, mode: int = os.R_OK | os.X_OK) -> str:
    """Name the folder or file that keeps the account from the path, "" if nothing does.

    Both the path as written and where its links lead are walked: a venv's python is a link to elsewhere.
    """
    targets = [path.absolute(), path.resolve()]
    return as_account(account, lambda: next(filter(None, (_blocked(t, mode) for t in targets)), ""))


def unreadable_code(account: Account, roots: Iterable[Path]) -> str:
    """Name the first file or folder of the program's code that the account cannot read, "" if none."""

    def walk() -> str:
        errors: list[str] = []
        for root in roots:
            for folder, names, files in os.walk(root, onerror=lambda e: errors.append(str(e.filename))):
                names[:] = [n for n in names if not n.startswith(".") and n != "__pycache__"]
                for name in files:
                    if not os.access(os.path.join(folder, name), os.R_OK):
                        return os.path.join(folder, name)
            if errors:
                return errors[0]
        return ""

    return as_account(account, walk)


def refuse_unreadable_program(
    account: Account, checkout: Path, code: Iterable[Path], modules: Iterable[str] = ("django", "celery")
) -> None:
    """Refuse unless the account can run this interpreter, the virtual environment and the checkout's code.

    Only asked when root starts services as another account. The proof is to do it: the interpreter is started
    as the account and imports the given modules from the checkout.
    """
    if os.geteuid() == account.uid:
        return
    fresh_venv = (
        "let the program use an interpreter that everyone can read, for example:\n"
        "          rm -rf .venv && make run PYTHON=/usr/bin/python3\n"
        "          (Debian, Ubuntu: apt-get install python3 python3-venv)"
    )
    elsewhere = "keep the checkout where every account can read it, for example: cp -r . /opt/viable"
    for path, remedy in (
        (checkout, elsewhere),
        (Path(sys.executable), fresh_venv),
        (Path(os.__file__).parent, fresh_venv),
        (Path(sys.prefix), fresh_venv),
    ):
        if folder := blocked_at(account, path):
            raise Refusal(f"The account {account.name} cannot read {folder}, which {path} needs.", remedy)
    if folder := unreadable_code(account, code):
        raise Refusal(
            f"The account {account.name} cannot read {folder}.",
            f"chmod -R go+rX {checkout} (a restrictive umask made the checkout private), or {elsewhere}",
        )
    probe = subprocess.run(
        [sys.executable, "-c", "".join(f"import {name}\n" for name in modules)],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **account.popen_arguments(),
    )
    if probe.returncode:
        last = (probe.stderr.strip().splitlines() or ["no message"])[-1]
        raise Refusal(f"The account {account.name} cannot run {sys.executable}: {last}", fresh_venv)
