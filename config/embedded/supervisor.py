"""The supervisor: starts children in order, restarts the dead, ends all in order.

One thread, one loop. Everything that must hold after a kill -9 of this process is kept by the kernel: the lock
is freed, and each child is signalled (see processes.py).
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from .child import Child, Service
from .console import Console, LineFilter, LogTail, everything, level_filter, nothing, postgres_filter
from .errors import Refusal
from .processes import end_strangers, marked_processes, processes_in
from .state import StateFolder, read_document, write_private

STOP_ORDER = ("web", "worker", "beat", "sweeper", "valkey", "postgres")
PAUSE = 0.05


class Stopped(Exception):
    """Someone asked to stop while something was being started."""


def filter_for(name: str, verbose: bool) -> LineFilter:
    """Return which lines of a child's log the terminal shows."""
    if verbose:
        return everything
    if name == "postgres":
        return postgres_filter
    if name == "valkey":
        return nothing
    return level_filter(plain_shown=name not in ("worker", "beat"))


class Supervisor:
    """Runs the children of one state folder, whose lock must be held."""

    def __init__(self, state: StateFolder, console: Console, *, verbose: bool = False) -> None:
        self.state = state
        self.console = console
        self.verbose = verbose
        self.children: list[Child] = []
        self.stop_requests = 0
        self._showing = False
        self._tails: dict[str, LogTail] = {}

    def install_signals(self, *, interrupt_stops: bool = True) -> None:
        """Let SIGTERM, SIGHUP and (for `run`) Ctrl-C ask for an orderly stop; a second one hurries it."""

        def ask(number: int, frame: FrameType | None) -> None:
            self.stop_requests += 1

        def ignore(number: int, frame: FrameType | None) -> None:
            """Ctrl-C is for the command in the foreground; a handler, because an ignored signal is inherited."""

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGHUP, ask)
        signal.signal(signal.SIGINT, ask if interrupt_stops else ignore)

    @property
    def stop_wanted(self) -> bool:
        """Say whether someone asked to stop."""
        return self.stop_requests > 0

    def clear_orphans(self) -> list[int]:
        """End what a killed supervisor left behind: first its application, then its Valkey.

        PostgreSQL's orphans are ended by its own, stricter rules when it is started.
        """
        recorded = (read_document(self.state.run / "children.json") or {}).get("pids", [])

        def left() -> list[int]:
            marked = set(marked_processes(self.state.mark, recorded))
            marked |= set(processes_in(self.state.path / "valkey", "valkey-server"))
            return sorted(marked - set(processes_in(self.state.cluster, "postgres")))

        return end_strangers(left, ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)))

    def start(self, service: Service) -> Child:
        """Start a service and wait until it answers.

        Raises Refusal if it does not come up, Stopped if a stop is asked for meanwhile.
        """
        child = Child(service, self.state.log / f"{service.name}.log", self.state.mark)
        self.children.append(child)
        self._tails[service.name] = LogTail(service.name, child.log, filter_for(service.name, self.verbose))
        self._launch(child)
        child.wait_ready(lambda: self.stop_wanted)
        self.raise_if_stopped()
        child.proven = service.ready is not None
        return child

    def settled(self) -> None:
        """Declare the start done: everything has worked once, and the logs are shown from here on.

        Until then they are only read over: a program that cannot load says so in many lines, and the refusal
        that ends the start prints the last of them.
        """
        for child in self.children:
            child.proven = True
        self._showing = True

    def _launch(self, child: Child) -> None:
        child.start()
        pids = [other.pid for other in self.children if other.pid]
        write_private(self.state.run / "children.json", json.dumps({"pids": pids}))

    def raise_if_stopped(self) -> None:
        """Raise Stopped if someone asked to stop."""
        if self.stop_wanted:
            raise Stopped

    def run_to_end(self, service: Service, progress: Callable[[str], None]) -> None:
        """Run a command that ends by itself (a migration) while the others are looked after.

        Raises Refusal with the end of its log if it fails, Stopped after ending it if a stop is asked for.
        """
        child = Child(service, self.state.log / f"{service.name}.log", self.state.mark)
        tail = LogTail(service.name, child.log, everything)
        child.start()
        last = ""
        while child.alive():
            if self.stop_wanted:
                child.end(lambda: self.stop_requests > 1)
                raise Stopped
            self.look_after()
            last = (tail.lines() or [last])[-1]
            progress(last)
            time.sleep(PAUSE)
        if child.process is not None and child.process.returncode:
            raise Refusal(f"{service.name} failed ({child.how_it_ended()}).\n{child.log_tail(25)}")

    def look_after(self) -> None:
        """Do one round: show new log lines, notice the dead, start again what is due.

        Raises Refusal when a child keeps dying.
        """
        self.show_logs()
        for child in self.children:
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._launch(child)
                    self.console.say(f"  {child.name}: started again (PID {child.pid})", always=True)
            elif not child.alive():
                how = child.how_it_ended()
                delay = child.died()
                self.console.say(
                    f"  {child.name}: ended unexpectedly ({how}), starting it again in {delay:.1f} s; log: {child.log}",
                    always=True,
                )

    def show_logs(self) -> None:
        """Print what the children have said since the last time."""
        for tail in self._tails.values():
            for line in tail.lines():
                if self._showing or self.verbose:
                    self.console.child_line(tail.name, line)

    def watch(self, until: Callable[[], bool]) -> None:
        """Look after the children until the condition holds or a stop is asked for."""
        while not until() and not self.stop_wanted:
            self.look_after()
            time.sleep(PAUSE)

    def stop(self, order: Sequence[str] = STOP_ORDER) -> None:
        """End all children in order, each before the next: the engines last."""
        known = {child.name: child for child in self.children}
        asked_before = self.stop_requests
        for name in (*order, *(name for name in reversed(known) if name not in order)):
            child = known.get(name)
            if child is None or child.process is None:
                continue
            with self.console.step(f"stopping {name}"):
                child.end(lambda: self.stop_requests > max(asked_before, 1))
            self.show_logs()
