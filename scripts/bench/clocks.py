"""``make bench-clocks``: what the sweep does with many clocks. See docs/operations/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from scripts.bench import processes
from scripts.bench.__main__ import inside_services
from scripts.bench.data import Desk, owner, superuser
from scripts.bench.report import PAGE, between
from scripts.bench.watch import engine

BEGIN, END = "<!-- clocks: written by make bench-clocks -->", "<!-- end of clocks -->"
SWEEPERS = (1, 2, 4)
#: Seconds between the sweeps of beat (config/celery.py), and what may come on top of them.
INTERVAL, MARGIN = 5.0, 0.5
#: Thresholds that fall due per second while the latency is measured.
RATE = 100
GATES = {"fires": 10_000.0, "look": 1.0, "loop": 0.3, "beat": INTERVAL + MARGIN}
_POLL = 0.01
_PATIENCE = 120.0
#: Seconds after the last fire until it is counted which tickets were told.
_TOLD = 3.0

# What was recorded of clocks stays (it is append-only); nobody asks for it here.
_EMPTY = ("DELETE FROM sla_slafire", "DELETE FROM sla_slaclock", "VACUUM sla_slaclock, sla_slafire")

# One clock a ticket, with the first of its thresholds due at an instant and the others a day apart after it.
_ARM = """
INSERT INTO sla_slaclock (id, tenant_id, ticket_id, metric, policy_id, policy_version_id, calendar_version_id, promise, cycle,
  state, generation, target, elapsed, started_at, anchor_at, pause_reason, due_at, step_due, fired, next_due_at, attempts,
  last_error)
SELECT uuidv7(), %(tenant)s, ticket, 'resolution', %(policy)s, %(version)s, %(calendar)s, '24h', 1, 'running', 1, 86400000000, 0,
  due - interval '1 day', due - interval '1 day', '', due + interval '3 days',
  ARRAY[due, due + interval '1 day', due + interval '2 days', due + interval '3 days'], ARRAY[]::smallint[], due, 0, ''
FROM ({tickets}) one
"""
#: All at once, an hour ago.
_DUE = """SELECT id AS ticket, now() - interval '1 hour' AS due FROM tickets_ticket
  WHERE tenant_id = %(tenant)s ORDER BY id LIMIT %(count)s"""
#: Never during this run; so they need no tickets.
_PENDING = """SELECT gen_random_uuid() AS ticket, now() + interval '1 day' + number * interval '1 second' AS due
  FROM generate_series(1, %(count)s) number"""
#: One after the other, from an instant on.
_SPREAD = """SELECT id AS ticket,
    %(start)s::timestamptz + (%(place)s + %(step)s * (row_number() OVER (ORDER BY id) - 1)) * interval '1 second' AS due
  FROM tickets_ticket WHERE tenant_id = %(tenant)s ORDER BY id LIMIT %(count)s"""


@dataclass(slots=True)
class Options:
    """What was asked for on the command line."""

    size: int
    pending: int
    seconds: float
    into: Path | None


@dataclass(slots=True)
class Figure:
    """A row of the table. ``met`` is None where there is no gate."""

    what: str
    value: str
    gate: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        return f"| {self.what} | {self.value}{' **missed**' if self.met is False else ''} | {self.gate} |"


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    found = argparse.ArgumentParser(prog="python -m scripts.bench.clocks", description=__doc__)
    found.add_argument("--size", type=int, default=100_000, help="clocks due at once (default: 100000)")
    found.add_argument("--pending", type=int, default=1_000_000, help="clocks not due yet (default: 1000000)")
    found.add_argument("--seconds", type=float, default=30.0, help="how long thresholds fall due one by one")
    found.add_argument("--quick", action="store_true", help="a few thousand, nothing written: does it work?")
    found.add_argument("--dry", action="store_true", help="write nothing")
    found.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    found.add_argument("--sweeper", action="store_true", help=argparse.SUPPRESS)
    return found


def main() -> int:
    """Start the services in a folder of their own and run inside them; or, there, run."""
    given = parser().parse_args()
    if given.sweeper:
        return sweeper()
    if given.inside is None:
        return inside_services("scripts.bench.clocks")
    options = Options(given.size, given.pending, given.seconds, None if given.dry else PAGE)
    if given.quick:
        options = Options(4000, 20_000, 5.0, None)
    return run(options, given.inside)


def sweeper() -> int:
    """A process that sweeps until nothing is due, once it hears that it may begin, and says what it did."""
    import django

    django.setup()
    from itsm.sla.sweep import look, sweep

    look()
    print("ready", flush=True)
    sys.stdin.readline()
    clocks = fires = 0
    while look().tenants:
        done = sweep()
        clocks, fires = clocks + done.clocks, fires + done.fires
    print(json.dumps({"clocks": clocks, "fires": fires}), flush=True)
    return 0


def run(options: Options, folder: Path) -> int:
    """Fill, sweep, report. 0 when everything fired exactly once."""
    from scripts.bench.run import manage, say, settings

    env = settings(folder)
    manage(env, "migrate", "--no-input")
    os.environ.update(env)
    os.environ["LOG_LEVEL"] = "WARNING"
    import django

    django.setup()
    from scripts.bench.data import fill

    say(f"{options.size} clocks due at once in 20 tenants, {options.pending} pending")
    desks = fill(max(options.size, 8000), say)
    found: list[Figure] = []
    with superuser() as admin:
        admin.execute("ALTER SYSTEM SET autovacuum = off")
        admin.execute("SELECT pg_reload_conf()")
        wrong = []
        for count in SWEEPERS:
            figure, complaint = _burst(desks, admin, count, options.size)
            found.append(figure)
            wrong += complaint
            say(str(figure))
        for measure in (_look, _loop, _beat):
            for figure in measure(desks, admin, options, folder):
                found.append(figure)
                say(str(figure))
    for line in wrong:
        say(f"WRONG: {line}")
    if options.into is not None and not wrong:
        text = options.into.read_text(encoding="utf-8")
        options.into.write_text(between(text, BEGIN, END, _table(options, found)), encoding="utf-8")
    return 1 if wrong else 0


def _table(options: Options, figures: Sequence[Figure]) -> str:
    from scripts.bench.run import machine

    head = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}; {options.size:,} clocks due at once, {options.pending:,} pending."
    return "\n".join([head.replace(",0", " 0"), "", "| | | gate |", "|---|---|---|", *map(str, figures)])


# --- many at once -----------------------------------------------------------------------------------------------------


def _burst(desks: Sequence[Desk], admin: psycopg.Connection[Any], sweepers: int, size: int) -> tuple[Figure, list[str]]:
    """Fires per second of some sweepers at once, and what was fired wrongly."""
    _arm(desks, _DUE, size)
    command = [sys.executable, "-m", "scripts.bench.clocks", "--sweeper"]
    ours = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(sweepers)
    ]
    for process in ours:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("a sweeper did not start")
    before = _cpu([process.pid for process in ours])
    begun = time.perf_counter()
    for process in ours:
        assert process.stdin is not None
        process.stdin.write("go\n")
    said = []
    for process in ours:
        assert process.stdout is not None
        said.append(json.loads(process.stdout.readline()))
    took = time.perf_counter() - begun
    spent = _cpu([process.pid for process in ours])
    for process in ours:
        process.communicate()
    armed = _count(admin, "sla_slaclock")
    fires = _count(admin, "sla_slafire")
    left = _count(admin, "sla_slaclock WHERE next_due_at <= now()")
    wrong = []
    if (fires, left) != (armed, 0) or sum(one["fires"] for one in said) != armed:
        wrong.append(f"{sweepers} sweepers fired {fires} of {armed} thresholds, said {said}, and left {left}")
    rate, cpu = fires / took, 1_000_000 * (spent - before) / max(1, fires)
    shares = " + ".join(str(one["clocks"]) for one in said)
    what = f"{sweepers} sweeper{'s' if sweepers > 1 else ''}: fires per second (of {shares})"
    value = f"{rate:.0f} ({cpu:.0f} µs CPU each)"
    if sweepers > 1:
        return Figure(what, value), wrong
    return Figure(what, value, f"≥ {GATES['fires']:.0f}", rate >= GATES["fires"]), wrong


def _cpu(pids: list[int]) -> float:
    return processes.cpu(pids) + processes.cpu(processes.children(engine("postgres")), reaped=True)


def _arm(desks: Sequence[Desk], tickets: str, count: int, **values: Any) -> int:
    """New clocks for as many tickets as there are, tenants by their share; no others remain. Answers how many."""
    total = sum(desk.count for desk in desks)
    armed = 0
    with owner() as connection:
        for statement in _EMPTY:
            connection.execute(statement)
        for place, desk in enumerate(desks):
            promised = desk.promises[-1]
            part = {
                "tenant": desk.id,
                "policy": promised.policy,
                "version": promised.version,
                "calendar": promised.calendar,
                "count": max(1, count * desk.count // total),
                **values,
            }
            if "step" in values:
                part["place"] = values["step"] * place
                part["step"] = values["step"] * len(desks)
                part["count"] = count // len(desks)
            cursor = psycopg.ClientCursor(connection)
            cursor.execute(_ARM.format(tickets=tickets), part)
            armed += cursor.rowcount
        connection.execute("VACUUM (ANALYZE) sla_slaclock, sla_slafire")
    return armed


def _count(admin: psycopg.Connection[Any], what: str) -> int:
    row = admin.execute(f"SELECT count(*) FROM {what}").fetchone()
    assert row is not None
    return int(row[0])


# --- nothing to do ----------------------------------------------------------------------------------------------------


def _look(desks: Sequence[Desk], admin: psycopg.Connection[Any], options: Options, folder: Path) -> Iterator[Figure]:
    from itsm.sla.sweep import look

    pending = _arm(desks, _PENDING, options.pending)
    took = []
    for _ in range(300):
        begun = time.perf_counter()
        due = look()
        took.append(1000 * (time.perf_counter() - begun))
        assert not due.tenants
    median = statistics.median(took)
    what = f"look with {pending} pending, nothing due (p50 / p99)"
    value = f"{median:.2f} / {sorted(took)[int(len(took) * 0.99)]:.2f} ms"
    yield Figure(what, value, f"p50 ≤ {GATES['look']:g} ms", median <= GATES["look"])


# --- one after the other ----------------------------------------------------------------------------------------------


def _loop(desks: Sequence[Desk], admin: psycopg.Connection[Any], options: Options, folder: Path) -> Iterator[Figure]:
    command = [sys.executable, "manage.py", "sla_sweeper"]
    late, told = _latency(desks, admin, RATE, options.seconds, folder, {"loop": command})
    yield _percentiles(f"loop process, {RATE} a second: due → fired (p50 / p99 / worst)", late, 0.99, "loop")
    yield Figure(f"loop process, {RATE} a second: due → told to the ticket (p50 / p99), of {len(late)}", told)


def _beat(desks: Sequence[Desk], admin: psycopg.Connection[Any], options: Options, folder: Path) -> Iterator[Figure]:
    celery = [sys.executable, "-m", "celery", "-A", "config.celery"]
    commands = {
        "worker": [
            *celery,
            "worker",
            "--concurrency",
            "2",
            "--loglevel",
            "WARNING",
            "--without-gossip",
            "--without-mingle",
        ],
        "beat": [*celery, "beat", "--loglevel", "WARNING", "--pidfile", "", "--schedule", str(folder / "schedule")],
    }
    late, told = _latency(desks, admin, RATE, max(options.seconds, 3 * INTERVAL), folder, commands)
    yield _percentiles(f"beat alone, every {INTERVAL:g} s: due → fired (p50 / p99 / worst)", late, 1.0, "beat")
    yield Figure("beat alone: due → told to the ticket (p50 / p99)", told)


def _percentiles(what: str, late: list[float], share: float, gate: str) -> Figure:
    found = [_at(late, part) for part in (0.5, 0.99, 1.0)]
    judged, limit = _at(late, share), GATES[gate]
    asked = f"{'worst' if share == 1.0 else 'p99'} ≤ {limit:g} s"
    return Figure(what, " / ".join(f"{value:.3f}" for value in found) + " s", asked, judged <= limit)


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def _latency(
    desks: Sequence[Desk],
    admin: psycopg.Connection[Any],
    rate: int,
    seconds: float,
    folder: Path,
    commands: dict[str, list[str]],
) -> tuple[list[float], str]:
    """Seconds from due to seen by another session, sorted; and how late tickets were told."""
    with _running(commands, folder):
        _wait_for_first(desks, admin)
        start = datetime.fromtimestamp(time.time() + 3, UTC)
        armed = _arm(desks, _SPREAD, round(rate * seconds), start=start, step=1 / rate)
        late = sorted(_seen(admin, armed, seconds + _PATIENCE))
        time.sleep(_TOLD)
    told = sorted(
        float(row[0])
        for row in admin.execute(
            "SELECT extract(epoch FROM handled_at - due_at) FROM sla_slafire WHERE handled_at IS NOT NULL"
        )
    )
    shown = f"{_at(told, 0.5):.2f} / {_at(told, 0.99):.2f} s, {len(told)} told" if told else "none told"
    return late, shown


def _wait_for_first(desks: Sequence[Desk], admin: psycopg.Connection[Any]) -> None:
    """Until the processes are up: a clock of each tenant, long due, has fired and was told."""
    armed, until = _arm(desks, _DUE, 1), time.monotonic() + _PATIENCE
    while _count(admin, "sla_slafire WHERE handled_at IS NOT NULL") < armed:
        if time.monotonic() > until:
            raise RuntimeError("nothing fires; see what the processes said")
        time.sleep(0.1)


def _seen(admin: psycopg.Connection[Any], armed: int, seconds: float) -> Iterator[float]:
    """How late each fire was when this session saw it. Raises RuntimeError when some do not come."""
    last, seen, until = 0, 0, time.monotonic() + seconds
    while seen < armed:
        if time.monotonic() > until:
            raise RuntimeError(f"{seen} of {armed} clocks fired; see what the processes said")
        rows = admin.execute(
            "SELECT id, extract(epoch FROM clock_timestamp() - due_at) FROM sla_slafire WHERE id > %s ORDER BY id",
            [last],
        ).fetchall()
        yield from (float(late) for _, late in rows)
        seen, last = seen + len(rows), rows[-1][0] if rows else last
        time.sleep(_POLL)


@contextmanager
def _running(commands: dict[str, list[str]], folder: Path) -> Iterator[None]:
    ours = []
    for name, command in commands.items():
        with (folder / f"{name}.log").open("wb") as log:
            ours.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
    try:
        yield
    finally:
        for process in ours:
            process.terminate()
        for process in ours:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
        for name in commands:
            if complaints := (folder / f"{name}.log").read_text(errors="replace").strip():
                print(f"--- {name} said:\n{complaints[-1500:]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
