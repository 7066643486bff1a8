"""`services -- COMMAND` and `test -- COMMAND`: the engines for as long as one command runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .console import Console
from .environment import CHECKOUT, lock_is_held
from .errors import Refusal
from .identity import Account, own_account, refuse_unreadable_program
from .processes import spawn, wait_until
from .services import LocalServices
from .state import MARKER, StateFolder, read_document
from .supervisor import Stopped, Supervisor

TEST_PREFIX = "viable-test-"
#: What may name an engine of one's own, by itself, in parts or by the file that holds it.
OUTSIDE = ("DATABASE_", "REDIS_", "CACHE_")


def run_command(
    command: Sequence[str],
    env: Mapping[str, str],
    account: Account,
    supervisor: Supervisor | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run a command in the foreground with the services' environment; return its exit status.

    `env` comes on top of `environ`, by default what this process was given. The command keeps the terminal.
    Without a supervisor the services are someone else's and only joined.
    """
    home = {} if account.uid == os.geteuid() else {"HOME": env["VIABLE_STATE"], "USER": account.name}
    try:
        process = spawn(
            command,
            env={**(os.environ if environ is None else environ), **env, **home},
            account=account,
            cwd=Path.cwd(),
            output=None,
            death_signal=signal.SIGTERM,
            new_session=False,
            stdin=None,
        )
    except OSError as error:
        raise Refusal(f"Cannot run {command[0]}: {error.strerror}.", exit_code=127) from None
    if supervisor is None:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:  # the terminal sent it to the command, too
                continue
    else:
        code = _look_after(process, supervisor)
    return 128 - code if code < 0 else code


def _look_after(process: subprocess.Popen[bytes], supervisor: Supervisor) -> int:
    supervisor.watch(lambda: process.poll() is not None)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        if not wait_until(lambda: process.poll() is not None or supervisor.stop_requests > 1, 20.0):
            process.kill()
    return process.wait()


def join(state: StateFolder, command: Sequence[str], seconds: float = 120.0) -> int:
    """Run a command with the services that another supervisor runs, waiting for them if they just start."""
    ready = wait_until(lambda: (state.run / "env.json").exists() or not lock_is_held(state.path), seconds, 0.1)
    document = read_document(state.run / "env.json")
    if not ready or document is None:
        raise Refusal(f"The supervisor of {state.path} (PID {state.holder().get('pid')}) did not get ready.")
    return run_command(command, {**document["env"], **_path(document.get("programs", ""))}, own_account())


def _path(programs: str) -> dict[str, str]:
    """Put psql, pg_dump and the rest of the same version first in the PATH."""
    return {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"} if programs else {}


def services(
    state: StateFolder,
    command: Sequence[str],
    console: Console,
    *,
    throw_away: bool = False,
    settings: str = "config.settings.dev",
    environ: Mapping[str, str] | None = None,
    drop: bool = False,
    user: str = "",
) -> int:
    """Start the engines, run the command (or wait for a stop if there is none), stop the engines.

    `environ` stands for the environment of this process, for the engines and for the command.
    If they run already, the command joins them. `drop` runs the command as the services' account.
    """
    if command and lock_is_held(state.path):
        return join(state, command)
    state.open(user)
    state.lock({"address": ""})
    supervisor = Supervisor(state, console)
    supervisor.install_signals(interrupt_stops=not command)
    local = LocalServices(state, supervisor, throw_away=throw_away, environ=environ)
    begun = time.monotonic()
    try:
        local.start(console)
        env = local.env("", settings)
        state.publish(env, address="", pid=os.getpid(), programs=local.programs)
        console.say(f"Services are up after {time.monotonic() - begun:.1f} s (state {state.path})")
        supervisor.settled()
        if not command:
            supervisor.watch(lambda: False)
            return 0
        account = own_account()
        if drop:
            account = state.account
            refuse_unreadable_program(account, CHECKOUT, ())
        return run_command(command, {**env, **_path(local.programs)}, account, supervisor, environ)
    except Stopped:
        return 130
    finally:
        supervisor.stop()
        state.unlock()


def sweep_test_folders(parent: Path) -> None:
    """Remove what killed test runs left: our own folders whose lock nobody holds, an hour old or more."""
    for folder in parent.glob(f"{TEST_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            if lock_is_held(folder) or not (folder / MARKER).exists():
                continue
            if time.time() - folder.stat().st_mtime > 3600:
                shutil.rmtree(folder, ignore_errors=True)


def test(command: Sequence[str], console: Console, *, external: bool = False, user: str = "") -> int:
    """Run a command (pytest) against a cluster of its own that is thrown away afterwards.

    Unless `external`, no setting of a database, queue or cache in the environment counts, nor a file that holds one:
    a test run empties what it is given.
    """
    ours = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environ = {name: value for name, value in ours.items() if external or not name.startswith(OUTSIDE)}
    parent = Path(tempfile.gettempdir()).resolve()
    sweep_test_folders(parent)
    folder = Path(tempfile.mkdtemp(prefix=TEST_PREFIX, dir=parent))
    try:
        return services(
            StateFolder(folder),
            command,
            console,
            throw_away=True,
            settings="config.settings.test",
            environ=environ,
            user=user,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
