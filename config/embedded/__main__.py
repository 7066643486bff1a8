"""The command line: python -m config.embedded run | services | test | upgrade-db | stop | env | clean."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .console import Console
from .environment import default_state, lock_is_held, pointer_file, running_state
from .errors import Refusal
from .foreground import services, test
from .processes import is_alive, signal_quietly, wait_until
from .state import StateFolder, read_document
from .upgrade import upgrade


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    top.add_argument("--state", default=os.environ.get("STATE", ""), help="state folder (default: see the docs)")
    commands = top.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="start everything, until Ctrl-C")
    run.add_argument("--port", default=os.environ.get("PORT", "8000"), help="port of the web server")
    run.add_argument("--verbose", action="store_true", help="show every line of every log")
    for name, text in (
        ("services", "start PostgreSQL and Valkey, run a command with their addresses, stop them"),
        ("test", "the same with a throw-away cluster, for a test run"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--verbose", action="store_true", help="show the steps")
        sub.add_argument("command", nargs="*", help="the command, after --")
        if name == "services":
            sub.add_argument("--drop", action="store_true", help="as root: run it as the services' account")
        else:
            sub.add_argument("--external", action="store_true", help="use DATABASE_URL and REDIS_URL if set")
    commands.add_parser("upgrade-db", help="take the cluster to the installed PostgreSQL's major version")
    commands.add_parser("stop", help="stop the running supervisor and wait for it")
    env = commands.add_parser("env", help="print the addresses of the running services")
    env.add_argument("--export", action="store_true", help='as shell commands: eval "$(… env --export)"')
    commands.add_parser("clean", help="delete the state folder (refuses while it runs)")
    return top


def chosen_state(text: str) -> Path:
    """Return the state folder that the command line, VIABLE_STATE or the default names."""
    named = text or os.environ.get("VIABLE_STATE", "")
    return Path(named).expanduser().resolve() if named else default_state()


def stop(path: Path, console: Console, seconds: float = 120.0) -> int:
    """Ask the supervisor of a state folder to stop and wait until it has."""
    if not lock_is_held(path):
        console.say(f"not running (state {path})")
        return 0
    pid = int(StateFolder(path).holder().get("pid", 0))
    if not pid or not is_alive(pid):
        raise Refusal(f"Something holds {path}/run/lock, but says no process id of this machine: {pid}.")
    signal_quietly(pid, signal.SIGTERM)
    with console.step(f"stopping PID {pid}"):
        if not wait_until(lambda: not lock_is_held(path), seconds, 0.05):
            raise Refusal(f"PID {pid} still stops after {seconds:.0f} s.", f"look into {path}/log")
    return 0


def print_env(path: Path, export: bool) -> int:
    """Print the environment of the running services, for a shell or for a person."""
    document = read_document(path / "run" / "env.json") if lock_is_held(path) else None
    if document is None:
        raise Refusal(f"Nothing runs in {path}.", "make run, in another terminal")
    for name, value in document["env"].items():
        print(f"export {name}={shlex.quote(value)}" if export else f"{name}={value}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = parser().parse_args(arguments)
    state = chosen_state(options.state)
    user = os.environ.get("VIABLE_USER", "")
    verbose = bool(getattr(options, "verbose", False))
    console = Console(sys.stdout if options.action == "run" else sys.stderr)
    try:
        if options.action == "run":
            from .run import run

            return run(StateFolder(state), options.port, console, user=user, verbose=verbose)
        if options.action == "services":
            console.quiet = bool(options.command) and not verbose
            return services(StateFolder(state), options.command, console, drop=options.drop, user=user)
        if options.action == "test":
            console.quiet = not verbose
            return test(options.command, console, external=options.external, user=user)
        if options.action == "upgrade-db":
            return upgrade(StateFolder(state), Console(sys.stdout), user=user)
        if options.action == "clean":
            if state.exists():
                StateFolder(state).remove()
                pointer_file().unlink(missing_ok=True)
                console.say(f"removed {state}")
            return 0
        if not options.state:
            state = running_state(os.environ) or state
        return stop(state, console) if options.action == "stop" else print_env(state, options.export)
    except Refusal as refusal:
        console.say(f"viable: {refusal}", always=True)
        return refusal.exit_code


if __name__ == "__main__":
    sys.exit(main())
