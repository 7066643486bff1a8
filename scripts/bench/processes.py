"""Servers under test, and what processes spend: CPU seconds and memory from /proc (Linux)."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60.0


def children(pid: int) -> list[int]:
    """The process and all that it has started."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                found.extend(children(int(child)))
    except OSError:
        pass  # It ended while we looked, as connections of a database do.
    return found


def cpu(pids: Sequence[int], *, reaped: bool = False) -> float:
    """CPU seconds that these processes have spent so far; with ``reaped``, their ended children as well."""
    spent = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += sum(int(field) for field in fields[11 : 15 if reaped else 13])
    return spent / TICK


def title(pid: int) -> str:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def pss(pids: Sequence[int]) -> list[float]:
    """Proportional memory of each process in MB."""
    found = []
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found.append(int(line.split()[1]) / 1024)
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    command: Sequence[str], env: Mapping[str, str], port: int, log: Path, path: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it is up when ``path`` is answered. Raises RuntimeError with the end of its log."""
    with log.open("wb") as output:
        process = subprocess.Popen(list(command), env=dict(env), stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port, path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def granian(interface: str, port: int, target: str, *options: str) -> list[str]:
    """Two workers of the server that the product is shipped with."""
    return [
        *(sys.executable, "-m", "granian", "--interface", interface, "--no-ws", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "2", *options, target),
    ]
