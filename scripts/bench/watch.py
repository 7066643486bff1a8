"""What a request costs: CPU of the server and of the database, and how many statements it sends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from scripts.bench import processes
from scripts.bench.load import Result


def engine(name: str) -> int:
    """The process id of one of the state folder's engines (``postgres`` or ``valkey-server``)."""
    run = Path(os.environ["VIABLE_STATE"]) / "run"
    pids = json.loads((run / "children.json").read_text(encoding="utf-8"))["pids"]
    return next(pid for pid in pids if name in processes.title(pid).split(" ")[0])


@dataclass(slots=True)
class Spent:
    """CPU milliseconds per request."""

    app: float
    database: float
    cache: float

    @property
    def total(self) -> float:
        return self.app + self.database + self.cache


class Meter:
    """CPU of one server, the database (its ended sessions as well) and the cache."""

    def __init__(self, server: int | None) -> None:
        self.server = server
        self.postmaster, self.valkey = engine("postgres"), engine("valkey-server")

    def during(self, work: Callable[[], Result]) -> tuple[Result, Spent]:
        """Run ``work`` and share out what it cost among its requests."""
        # The same processes before and after: a worker that ends in between takes its count with it.
        before = self._now()
        result = work()
        after = self._now()
        each = [1000 * max(0.0, b - a) / max(1, result.count) for a, b in zip(before, after, strict=True)]
        return result, Spent(*each)

    def _now(self) -> tuple[float, float, float]:
        app = processes.cpu(processes.children(self.server)) if self.server else 0.0
        database = processes.cpu(processes.children(self.postmaster), reaped=True)
        return app, database, processes.cpu([self.valkey])


class StatementLog:
    """Counts what reaches the database, in its own log: what a library hides is counted like everything else."""

    _MARKS = ("LOG:  statement: ", "LOG:  execute ")

    def __init__(self, admin: psycopg.Connection[Any]) -> None:
        self.admin = admin
        self.file = Path(os.environ["VIABLE_STATE"]) / "log" / "postgres.log"

    def during(self, work: Callable[[], Result]) -> tuple[float, list[str]]:
        """Statements per request of ``work``, and all of them."""
        self._switch("all")
        start = self.file.stat().st_size
        result = work()
        time.sleep(0.3)
        with self.file.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()
        self._switch("none")
        found = [line for line in lines if "itsm_app@" in line and any(mark in line for mark in self._MARKS)]
        return len(found) / max(1, result.count), found

    def _switch(self, value: str) -> None:
        self.admin.execute(f"ALTER SYSTEM SET log_statement = '{value}'")
        self.admin.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)


def explained(
    connection: psycopg.Connection[Any], statement: str, params: Sequence[Any] = (), times: int = 7
) -> tuple[float, int]:
    """(milliseconds of the quickest of some executions without planning, buffers of it) of a statement inside a tenant."""
    best: tuple[float, int] | None = None
    for _ in range(times):
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", params).fetchone()
        assert row is not None
        plan = row[0][0]
        took = plan["Execution Time"]
        read = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        if best is None or took < best[0]:
            best = (took, read)
    assert best is not None
    return best
