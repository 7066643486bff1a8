"""The run itself, inside the services that ``python -m scripts.bench`` has started for it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from scripts.bench import growth, limit, load, operations, processes, report
from scripts.bench.data import Desk, fill, superuser
from scripts.bench.load import Result
from scripts.bench.operations import NAMES, Sample
from scripts.bench.watch import Meter, Spent, StatementLog

CONCURRENCY = (1, 8)
WRITES = ("create", "verb")
#: As in docker-compose.yml.
_WEB = ("--blocking-threads", "4", "--backpressure", "16", "--workers-kill-timeout", "25")
_OWNER = ("DATABASE_OWNER_URL", "DATABASE_OWNER_PASSWORD", "DATABASE_PLATFORM_URL")


@dataclass(slots=True)
class Options:
    """What was asked for on the command line."""

    size: int
    seconds: float
    only: tuple[str, ...]
    quick: bool
    into: Path | None


@dataclass(slots=True)
class Target:
    """A server under test."""

    name: str
    port: int
    pid: int


def say(text: str) -> None:
    """A line on the terminal."""
    print(text, flush=True)


def settings(folder: Path) -> dict[str, str]:
    """The environment of the product as in production, but for TLS and for limits that a benchmark is made to exceed."""
    static, metrics = folder / "static", folder / "metrics"
    metrics.mkdir(exist_ok=True)
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        "ALLOWED_HOSTS": "127.0.0.1",
        "STATIC_ROOT": str(static),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "BEHIND_PROXY": "no",
        "SECURE_SSL_REDIRECT": "no",
        "SECURE_COOKIES": "no",
        "API_RATE_TOKEN": "100000000",
        "API_RATE_TENANT": "100000000",
        "PYTHONDONTWRITEBYTECODE": "",
    }


def manage(env: Mapping[str, str], *command: str) -> None:
    """Run a management command to its end."""
    subprocess.run([sys.executable, "manage.py", *command], env=dict(env), check=True, stdout=subprocess.DEVNULL)


def sessions(desks: Sequence[Desk]) -> dict[str, list[str]]:
    """A signed-in browser for each agent."""
    from django.conf import settings as django
    from django.test import Client

    from itsm.tenancy.models import User

    found: dict[str, list[str]] = {}
    for desk in desks:
        for user in User.objects.filter(pk__in=desk.users):
            client = Client()
            client.force_login(user, backend=django.AUTHENTICATION_BACKENDS[0])
            found.setdefault(desk.slug, []).append(client.cookies["sessionid"].value)
    return found


def main(options: Options, folder: Path) -> int:
    """Fill, serve, measure, report. 0 when every answer was right."""
    env = settings(folder)
    manage(env, "migrate", "--no-input")
    manage(env, "collectstatic", "--no-input", "--verbosity", "0")
    os.environ.update(env)
    os.environ["LOG_LEVEL"] = "WARNING"
    import django

    django.setup()
    say(f"benchmark with {options.size} tickets in 20 tenants")
    desks = fill(options.size, say)
    with superuser() as admin, ExitStack() as stack:
        # It comes when it likes, and nobody's requests should pay for it. Everything has just been vacuumed.
        admin.execute("ALTER SYSTEM SET autovacuum = off")
        samples = operations.samples(admin, desks, sessions(desks))
        serving = {name: value for name, value in env.items() if name not in _OWNER}
        started = time.perf_counter()
        viable = _serve(stack, "viable", processes.granian, ("wsgi", "config.wsgi:application", *_WEB), serving, folder)
        start_seconds = time.perf_counter() - started
        raw = _serve(stack, "raw", processes.granian, ("asgi", "scripts.bench.raw:app"), serving, folder)
        rows, wrong = _measure(options, folder, samples, (viable, raw), admin)
        memory = processes.pss(processes.children(viable.pid)[1:])
        grown = [] if options.quick else growth.measure(desks)
    for line in wrong:
        say(f"WRONG: {line}")
    document = {
        "size": sum(desk.count for desk in desks),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "rows": rows,
        "growth": grown,
        "start_seconds": round(start_seconds, 2),
        "worker_mb": round(max(memory, default=0.0), 1),
    }
    say(report.text(document))
    if options.into is not None and not wrong:
        report.write(document, options.into)
    return 1 if wrong else 0


def _serve(
    stack: ExitStack, name: str, command: Any, what: tuple[str, ...], env: Mapping[str, str], folder: Path
) -> Target:
    port = processes.free_port()
    interface, target, *extra = what
    path = "/healthz/live" if name == "viable" else "/api/v1/incidents/"
    process = stack.enter_context(
        processes.server(command(interface, port, target, *extra), env, port, folder / f"{name}.log", path)
    )
    return Target(name, port, process.pid)


def _measure(
    options: Options, folder: Path, samples: Sequence[Sample], targets: Sequence[Target], admin: psycopg.Connection[Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """One row for each operation, target and concurrency, and what was answered wrongly."""
    rows: list[dict[str, Any]] = []
    wrong: list[str] = []
    log = StatementLog(admin)
    parts = len(targets) * len(CONCURRENCY)
    for name in options.only or NAMES:
        # What the one before has written is far more than the share after which autovacuum would come.
        admin.execute("VACUUM tickets_ticket")
        for turn, clients in enumerate(CONCURRENCY):
            for place, target in enumerate(targets):
                if name == "page" and target.name == "raw":
                    continue
                mine = operations.share(samples, turn * len(targets) + place, parts)
                streams = operations.sources(name, mine, clients)
                row, errors = _one(options, target, name, clients, streams, log)
                rows.append(row)
                wrong += errors
                say(report.line(row))
        # Last: pgbench moves any ticket, and the others insist on the version that they know.
        for clients in CONCURRENCY if name != "page" else ():
            result, spent = Meter(None).during(partial(limit.run, name, samples, clients, options.seconds / 2, folder))
            rows.append(_row("sql", name, clients, result, spent, None))
            say(report.line(rows[-1]))
    return rows, wrong


def _one(
    options: Options, target: Target, name: str, clients: int, streams: list[Iterator[load.Request]], log: StatementLog
) -> tuple[dict[str, Any], list[str]]:
    warm = load.run(target.port, streams, min(1.5, options.seconds / 2))
    statements = None
    if clients == 1 and not warm.wrong:
        statements, _ = log.during(partial(load.run, target.port, streams, 5.0, most=20))
    result, spent = Meter(target.pid).during(partial(load.run, target.port, streams, options.seconds))
    return _row(target.name, name, clients, result, spent, statements), [*warm.wrong, *result.wrong]


def _row(
    target: str, name: str, clients: int, result: Result, spent: Spent, statements: float | None
) -> dict[str, Any]:
    return {
        "operation": name,
        "target": target,
        "clients": clients,
        "rate": round(result.count / result.seconds, 1),
        **{f"p{share}": round(result.percentile(share / 100), 2) for share in (50, 95, 99)},
        "app": round(spent.app, 3),
        "database": round(spent.database, 3),
        "cache": round(spent.cache, 3),
        "cpu": round(spent.total, 3),
        "statements": None if statements is None else round(statements, 1),
    }


def machine() -> str:
    """What it ran on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    return (
        f"{os.cpu_count()} cores ({model}), {memory} GiB, Python {platform.python_version()}, PostgreSQL {_postgres()}"
    )


def _postgres() -> str:
    done = subprocess.run(["postgres", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]
