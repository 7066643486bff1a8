"""One supervised process: what to start, how to know that it works, how to end it, when to start it again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Refusal
from .identity import Account
from .processes import MARK, Escalation, signal_group, signal_quietly, spawn, wait_until

QUICK_DEATH_SECONDS = 10.0
QUICK_DEATHS_ALLOWED = 5
RESTART_DELAYS = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Service:
    """The description of a process to supervise."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    account: Account
    stop: Escalation
    death_signal: signal.Signals = signal.SIGTERM
    before_start: Callable[[], None] = lambda: None
    ready: Callable[[int], bool] | None = None
    """How to know that it works; None if its start alone says nothing."""
    ready_seconds: float = 60.0
    tidy_group: bool = True
    """Whether what it leaves behind when it dies (its workers) is ended before it is started again."""


@dataclass
class Child:
    """A service and the process that is it at the moment."""

    service: Service
    log: Path
    mark: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    quick_deaths: int = 0
    restart_at: float | None = None
    proven: bool = False
    """Whether it has worked once. One that never did is not started again: it would only fail again."""
    _log_start: int = field(default=0, repr=False)

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

    @property
    def pid(self) -> int:
        """Process id, 0 while it does not run."""
        return self.process.pid if self.process is not None and self.process.returncode is None else 0

    def start(self) -> None:
        """Start the process; raise Refusal if its program cannot be executed at all."""
        self.service.before_start()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        output = os.open(self.log, flags, 0o600)
        self._log_start = os.fstat(output).st_size
        try:
            self.process = spawn(
                self.service.command,
                env={**self.service.env, MARK: f"{self.mark}:{self.name}"},
                account=self.service.account,
                cwd=self.service.cwd,
                output=output,
                death_signal=self.service.death_signal,
            )
        except OSError as error:
            raise Refusal(f"Cannot start {self.name} ({self.service.command[0]}): {error}.") from None
        finally:
            os.close(output)
        self.started = time.monotonic()
        self.restart_at = None

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Wait until the service answers; raise Refusal with the end of its log if it dies or never does."""

        ready = self.service.ready
        if ready is None:
            return

        def settled() -> bool:
            return interrupted() or not self.alive() or ready(self.pid)

        in_time = wait_until(settled, self.service.ready_seconds)
        if interrupted():
            return
        if not self.alive():
            raise Refusal(f"{self.name} ended at its start ({self.how_it_ended()}).\n{self.log_tail()}")
        if not in_time:
            raise Refusal(f"{self.name} did not answer within {self.service.ready_seconds:.0f} s.\n{self.log_tail()}")

    def how_it_ended(self) -> str:
        """Describe the exit status in words."""
        code = self.process.returncode if self.process is not None else None
        if code is None:
            return "still running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of what the process said since it was last started, under the log's name."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._log_start, self.log.stat().st_size - 8000))
                said = file.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            said = []
        return "\n".join([f"  Log: {self.log}", *(f"  | {line}" for line in said)])

    def died(self) -> float:
        """Note an unexpected end and return the seconds to wait before the next start.

        Raises Refusal when it keeps dying soon after its start: starting it again would not help.
        """
        lived = time.monotonic() - self.started
        if self.service.tidy_group and self.process is not None:
            # Its own workers outlive a killed parent and would hold its port: they go before the next start.
            signal_group(self.process.pid, signal.SIGTERM)
            wait_until(lambda: not self._group_exists(), 3.0)
            signal_group(self.process.pid, signal.SIGKILL)
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_DEATH_SECONDS else 1
        if not self.proven:
            raise Refusal(f"{self.name} ended at its start ({self.how_it_ended()}).\n{self.log_tail()}")
        if self.quick_deaths >= QUICK_DEATHS_ALLOWED:
            raise Refusal(
                f"{self.name} ended {self.quick_deaths} times in a row within {QUICK_DEATH_SECONDS:.0f} s of "
                f"its start (last: {self.how_it_ended()}): giving up.\n{self.log_tail()}"
            )
        delay = RESTART_DELAYS[min(self.quick_deaths, len(RESTART_DELAYS)) - 1]
        self.restart_at = time.monotonic() + delay
        return delay

    def _group_exists(self) -> bool:
        assert self.process is not None
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def end(self, hurry: Callable[[], bool] = lambda: False) -> str:
        """End the process by its escalation of signals; return how it ended ("" if it did not run).

        `hurry` (a second Ctrl-C) cuts each wait short.
        """
        self.restart_at = None
        if self.process is None:
            return ""
        if self.process.poll() is None:
            for number, seconds in self.service.stop:
                signal_quietly(self.process.pid, number)
                asked, begun = hurry(), time.monotonic()
                while self.process.poll() is None and time.monotonic() - begun < seconds:
                    if hurry() and not asked:
                        break
                    time.sleep(0.02)
                if self.process.poll() is not None:
                    break
            else:
                signal_group(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.service.tidy_group:
            signal_group(self.process.pid, signal.SIGKILL)
        return self.how_it_ended()
