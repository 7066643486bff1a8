"""Starting, finding and ending processes: the few facts of the operating system that supervision rests on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .identity import Account

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None

MARK = "VIABLE_CHILD"
"""Environment variable of every supervised process: state folder and name, to recognise orphans by."""

Escalation = Sequence[tuple[signal.Signals, float]]
"""Signals to end a process with, each followed by the seconds it is given."""


def _follow_parent(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """Return what the new process does before exec: ask the kernel to signal it when its parent dies.

    subprocess runs this after setuid, as it must be: the kernel forgets the wish when credentials change. It
    fires when the *thread* that started the process ends, so processes are started from the main thread only.
    """

    def arm() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # it died in between: nobody would tell us any more
                os._exit(1)

    return arm


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    account: Account,
    cwd: Path,
    output: int | IO[bytes] | None,
    death_signal: signal.Signals,
    new_session: bool = True,
    stdin: int | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a process as the account that dies with this one; raise OSError if it cannot be executed.

    A session of its own keeps Ctrl-C in the terminal from reaching it: the supervisor stops things in order.
    """
    errors: Any = subprocess.STDOUT if output is not None else None
    return subprocess.Popen(  # single-threaded, and prctl has no other place
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=errors,
        start_new_session=new_session,
        preexec_fn=_follow_parent(os.getpid(), death_signal),
        **account.popen_arguments(),
    )


def _numeric_entries() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _ps() -> list[tuple[int, str]]:
    """List (pid, command line) where there is no /proc."""
    listing = subprocess.run(["ps", "-Awwo", "pid=,command="], capture_output=True, text=True, check=False)
    rows = [line.strip().partition(" ") for line in listing.stdout.splitlines()]
    return [(int(pid), command) for pid, _, command in rows if pid.isdigit()]


def command_line(pid: int) -> str:
    """Return a process's command line, "" if it is gone or not ours to see."""
    if not LINUX:
        return next((command for other, command in _ps() if other == pid), "")
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def exists(pid: int) -> bool:
    """Say whether the number is taken, be it by a zombie or by someone else's process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def is_alive(pid: int) -> bool:
    """Say whether a process exists and still runs (a zombie does not)."""
    if not exists(pid):
        return False
    if LINUX:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False
    return True


def processes_in(folder: Path, program: str) -> list[int]:
    """Find every process of an engine that works in a data folder, PostgreSQL's backends too.

    They all change into the data folder, which no other process can fake by taking over a number. The mark in
    the environment does not do here: Valkey writes its title over it. Where there is no /proc, the command line
    of the postmaster has to do (Valkey is found by its recorded number).
    """
    if not LINUX:
        return [pid for pid, command in _ps() if program in command and f"-D {folder} " in f"{command} "]
    found = []
    wanted = str(folder.resolve())
    for pid in _numeric_entries():
        try:
            place, running = os.readlink(f"/proc/{pid}/cwd"), os.readlink(f"/proc/{pid}/exe")
        except OSError:
            continue
        if place == wanted and os.path.basename(running.removesuffix(" (deleted)")) == program:
            found.append(pid)
    return found


def marked_processes(mark: str, recorded: Iterable[int] = ()) -> list[int]:
    """Find processes left over from an earlier supervisor of the same state folder.

    On Linux by the mark in their environment, which their own children inherit; elsewhere the recorded
    process ids, if they still run something that looks like ours.
    """
    if not LINUX:
        ours = ("granian", "celery", "valkey-server")
        return [pid for pid in recorded if any(name in command_line(pid) for name in ours)]
    wanted = f"{MARK}={mark}:".encode()
    found = []
    for pid in _numeric_entries():
        if pid == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if any(entry.startswith(wanted) for entry in environment.split(b"\0")) and is_alive(pid):
            found.append(pid)
    return found


def signal_quietly(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is already gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to every process of a session's group; nobody there is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def wait_until(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    """Wait for a condition; say whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)
    return True


def end_strangers(find: Callable[[], list[int]], escalation: Escalation) -> list[int]:
    """End processes that are not our children (orphans), and wait until none is left; return who they were.

    `find` is asked again at every step, so a process that took over a number meanwhile is never signalled.
    """
    first = find()
    for number, seconds in escalation:
        remaining = find()
        if not remaining:
            break
        for pid in remaining:
            signal_quietly(pid, number)
        wait_until(lambda: not find(), seconds, 0.05)
    return first
