"""/metrics: who may read it, what it counts, and that it stays up when an engine does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config.observe import shared
from itsm.events.models import Delivery, DeliveryStatus, Outbox
from itsm.events.relay import relay
from itsm.kernel import clock
from tests.api.caller import Caller
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk
from tests.operations.test_lost_database import closed_port

PAGE = (Path(__file__).resolve().parents[2] / "docs/operations/monitoring.md").read_text()


@pytest.fixture(autouse=True)
def _from_zero(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts of this test's own: other processes of the run count in the same Valkey."""
    key = f"viable:metrics:{uuid4()}"
    monkeypatch.setattr(shared, "_KEY", key)
    yield
    shared.connected(settings.REDIS_URL).delete(key)


def scrape() -> dict[str, dict[tuple[str, ...], float]]:
    """Metric → the values of its labels, in the order of the labels' names → value."""
    response: Any = Client().get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_only_this_machine_or_the_token(db: None, settings: Any) -> None:
    def asked(token: str = "", **extra: str) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return int(Client().get("/metrics", headers=headers, **extra).status_code)  # type: ignore[arg-type]

    away = {"REMOTE_ADDR": "192.0.2.7"}
    assert (asked(), asked(REMOTE_ADDR="::1"), asked(**away)) == (200, 200, 404)
    assert asked(HTTP_X_FORWARDED_FOR="192.0.2.7") == 404
    assert asked("", **away) == asked("guess", **away) == 404
    settings.METRICS_TOKEN = "s3cret"
    assert (asked("s3cret", **away), asked("guess", **away), asked("s3cret2", **away)) == (200, 404, 404)
    settings.METRICS_ONLY_BY_TOKEN = True
    assert (asked(), asked("s3cret"), asked("guess")) == (404, 200, 404)
    assert Client().post("/metrics").status_code == 405


def test_requests_are_counted_by_pattern(acme: Desk) -> None:
    number = acme.incident().number
    api = Caller(acme, "agent")
    key = ("GET", "/api/v1/incidents/<str:key>/", "200")
    before = scrape()
    assert api.get(f"incidents/{number}/").status_code == 200
    assert api.get("incidents/INC9999999/").status_code == 404
    assert api.client.generic("BREW", "/").status_code >= 300
    after = scrape()

    def grown(name: str, *labels: str) -> float:
        return after[name].get(labels, 0) - before[name].get(labels, 0)

    assert grown("viable_requests_total", *key) == 1
    assert grown("viable_requests_total", "GET", "/api/v1/incidents/<str:key>/", "404") == 1
    assert grown("viable_request_seconds_count", *key[:2]) == 2
    assert not any(number in label for labels in after["viable_requests_total"] for label in labels)
    assert {labels[0] for labels in after["viable_requests_total"]} <= {
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER")
    }


def test_the_log_is_counted_over_all_tenants(acme: Desk, globex: Desk) -> None:
    for desk in (acme, globex):
        relay(desk.tenant.pk)
    calm = scrape()
    assert calm["viable_outbox_events"] == {(): 0}
    assert calm["viable_outbox_age_seconds"] == {(): 0}
    acme.incident()
    acme.incident()
    globex.incident()
    with acme.inside():
        Outbox.objects.update(created_at=clock.now() - timedelta(seconds=90))
        mine = Outbox.objects.count()
    with globex.inside():
        other = Outbox.objects.count()
    busy = scrape()
    assert busy["viable_outbox_events"] == {(): mine + other}
    assert 90 <= busy["viable_outbox_age_seconds"][()] < 120
    relay(acme.tenant.pk)
    with acme.inside():
        one, two = Delivery.objects.order_by("pk")[:2]
        Delivery.objects.filter(pk=one.pk).update(status=DeliveryStatus.DEAD)
        Delivery.objects.filter(pk=two.pk).update(
            status=DeliveryStatus.PENDING, available_at=clock.now() - timedelta(seconds=40)
        )
    late = scrape()
    assert late["viable_deliveries_dead"] == {(): 1}
    assert late["viable_deliveries_pending"] == {(): 1}
    assert 40 <= late["viable_deliveries_overdue_seconds"][()] < 60


def test_the_sums_tell_the_app_nothing_else(acme: Desk) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, proargnames FROM pg_proc WHERE proname = 'itsm_log_figures'")
        assert cursor.fetchone() == ("itsm_app", ["outbox", "outbox_since", "pending", "due_since", "dead"])


def test_tasks_and_lag_are_counted_in_valkey(db: None) -> None:
    for seconds, outcome in ((0.02, "success"), (0.3, "success"), (400.0, "failure")):
        shared.task_ended("probe", outcome, seconds)
    shared.sealed(0.2)
    found = scrape()
    assert found["viable_tasks_total"] == {("success", "probe"): 2, ("failure", "probe"): 1}
    buckets = found["viable_task_seconds_bucket"]
    assert [buckets[bound, "probe"] for bound in ("0.01", "0.05", "0.5", "300.0", "+Inf")] == [0, 1, 2, 2, 3]
    assert found["viable_task_seconds_count"] == {("probe",): 3}
    assert found["viable_task_seconds_sum"][("probe",)] == pytest.approx(400.32)
    assert found["viable_relay_lag_seconds_bucket"][("0.1",)] == 0
    assert found["viable_relay_lag_seconds_bucket"][("0.25",)] == 1


def test_the_relay_says_how_late_it_was(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    relay(desk.tenant.pk)
    found = scrape()
    assert found["viable_relay_lag_seconds_count"][()] >= 1
    assert 0 < found["viable_relay_lag_seconds_sum"][()] < 60


def test_without_its_engines_it_still_answers(committed_db: CommittedDatabase, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with closed_port():
        found = scrape()
    assert (found["viable_database_up"], found["viable_queue_up"]) == ({(): 0}, {(): 0})
    assert "viable_requests_total" in found
    assert "viable_outbox_events" not in found


def test_every_metric_is_explained(acme: Desk) -> None:
    shared.task_ended("probe", "success", 0.1)
    shared.dispatched("email", "sent")
    relay(acme.tenant.pk)
    told = set(re.findall(r"^\| `(viable_\w+)", PAGE, re.MULTILINE))
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in scrape()}
    assert shown == told
    assert {label for labels in re.findall(r"^\| `viable_\w+\{([\w,]+)\}", PAGE, re.MULTILINE) for label in labels.split(",")} == {
        "method", "route", "status", "task", "outcome", "channel",
    }  # fmt: skip
