"""The two probes: the one touches nothing, the other says what is missing and where."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client


def test_ready_names_what_it_looked_at(db: None) -> None:
    answer = Client().get("/healthz/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "checks": {"database": "ok", "queue": "ok"}})
    assert Client().post("/healthz/ready").status_code == 405


def test_without_its_queue_it_is_ready_and_says_so(db: None, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/healthz/ready")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": "ok", "queue": "unreachable"})


def test_with_an_old_schema_it_is_not_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = MigrationRecorder.applied_migrations

    def without_tickets(recorder: MigrationRecorder) -> Any:
        return {key: value for key, value in applied(recorder).items() if key[0] != "tickets"}

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", without_tickets)
    answer = Client().get("/healthz/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "migrations are missing: run manage.py migrate"
