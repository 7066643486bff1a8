"""Tasks inside a tenant, in a real worker on a real queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from kombu import Connection

from config.celery import app
from itsm.events.models import Delivery, Outbox
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk

ROOT = Path(__file__).resolve().parents[2]
TASKS = "tests.isolation.worker_tasks"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def worker(database: CommittedDatabase, *options: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the product on this test's database and queue, with this module's tasks beside the product's."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--include", TASKS, "--loglevel", "WARNING",
         "--without-gossip", "--without-mingle", *options],
        env={**database.environ, **extra}, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@contextmanager
def sending(database: CommittedDatabase) -> Iterator[None]:
    """This process sends to the queue of the test."""
    from config.celery import broker_url

    before = app.conf.broker_url
    app.conf.broker_url = broker_url(database.redis_url)
    try:
        yield
    finally:
        app.conf.broker_url = before


def send(name: str, text: str, *, tenant_of: Desk) -> None:
    with Connection(app.conf.broker_url) as connection:
        app.send_task(f"{TASKS}.{name}", args=[text, str(tenant_of.tenant.pk)], connection=connection)


def notes(database: CommittedDatabase) -> list[tuple[str, str]]:
    """(tenant, what a task wrote there), read past row-level security."""
    with database.connect("owner") as owner:
        return owner.execute(
            "SELECT t.slug, s.name FROM tickets_service s JOIN tenancy_tenant t ON t.id = s.tenant_id ORDER BY s.name"
        ).fetchall()


@pytest.mark.slow
def test_interleaved_tasks_of_two_tenants_do_not_mix(committed_db: CommittedDatabase) -> None:
    desks = {slug: make_desk(slug) for slug in ("acme", "globex")}
    with sending(committed_db), worker(committed_db, "--concurrency", "2"):
        send("stray", "nobody's", tenant_of=desks["acme"])
        for number in range(100):
            slug = ("acme", "globex")[number % 2]
            send("note", f"{slug} {number:03d}", tenant_of=desks[slug])
        wait_for(lambda: len(notes(committed_db)) >= 100)
        time.sleep(0.5)
    found = notes(committed_db)
    assert len(found) == 100
    assert all(name.startswith(f"{slug} ") for slug, name in found)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_delivery(committed_db: CommittedDatabase, tmp_path: Path) -> None:
    """kill -9 between the consumer's work and its commit: after the restart the work is there once, not twice, not never."""
    desk = make_desk("acme")
    reached = tmp_path / "reached"
    slow = {"DELIVERY_WITNESS": "1", "DELIVERY_REACHED": str(reached), "DELIVERY_SLEEPS": "60"}
    with sending(committed_db):
        with worker(committed_db, "--concurrency", "1", **slow) as victim:
            desk.incident(title="One")
            sweep()
            wait_for(reached.exists)
            os.killpg(victim.pid, signal.SIGKILL)
        wait_for(lambda: not _in_transaction(committed_db))
        assert notes(committed_db) == []
        with worker(committed_db, "--concurrency", "1", DELIVERY_WITNESS="1"):
            for _ in range(3):
                sweep()
            wait_for(lambda: notes(committed_db) != [])
            time.sleep(2)
    assert notes(committed_db) == [("acme", "witnessed incident.opened")]
    with desk.inside():
        assert not Outbox.objects.exists()
        witnessed = Delivery.objects.get(consumer="test.witness")
        assert (witnessed.status, witnessed.attempts) == ("done", 1)


def sweep() -> None:
    """What beat does every second: a wake-up may have been left out, because there was one just before."""
    with Connection(app.conf.broker_url) as connection:
        app.send_task("itsm.events.tasks.relay_all", connection=connection)


def _in_transaction(database: CommittedDatabase) -> bool:
    with database.connect("app") as raw:
        row = raw.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'itsm_app' "
            "AND state LIKE 'idle in%' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return bool(row[0])


def test_the_queue_of_the_test_is_its_own(committed_db: CommittedDatabase) -> None:
    from django.conf import settings

    assert committed_db.environ["REDIS_URL"] == settings.REDIS_URL
    assert not settings.REDIS_URL.endswith("db=0")
    with psycopg.connect(committed_db.urls["app"]) as raw:
        assert raw.execute("SELECT current_user").fetchone() == ("itsm_app",)
