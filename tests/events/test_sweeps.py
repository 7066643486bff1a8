"""Sweeps go from tenant to tenant: none keeps another waiting, and none deletes everything in one statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from itsm.api.models import IdempotencyKey
from itsm.api.tasks import prune_idempotency_keys
from itsm.events.bus import wiring
from itsm.events.models import Delivery, DeliveryStatus
from itsm.events.relay import relay
from itsm.events.tasks import KEEP_DONE, done_before, prune_all
from itsm.kernel import clock
from itsm.tenancy import sweep
from itsm.tenancy.models import Tenant
from itsm.tenancy.roles import database_role
from tests.factories import Desk


def test_ones_trouble_is_logged_and_the_others_go_on(
    acme: Desk, globex: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def work(tenant_id: UUID) -> int:
        if tenant_id == acme.tenant.pk:
            raise RuntimeError("broken")
        return 3

    assert sweep.for_each_tenant("tidying", [acme.tenant.pk, globex.tenant.pk], work) == 3
    assert [(one.getMessage(), one.__dict__["tenant_id"]) for one in caplog.records] == [
        ("tidying failed", str(acme.tenant.pk))
    ]


def test_closed_tenants_are_among_all_of_them(acme: Desk, globex: Desk) -> None:
    with database_role("owner"):
        Tenant.objects.filter(pk=globex.tenant.pk).update(is_active=False)
    assert sweep.active_tenants() == [acme.tenant.pk]
    assert set(sweep.all_tenants()) == {acme.tenant.pk, globex.tenant.pk}


def test_deliveries_done_a_week_ago_go_in_batches(acme: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        acme.incident()
    relay(acme.tenant.pk)
    with acme.inside():
        done = Delivery.objects.filter(status=DeliveryStatus.DONE).count()
        kept = Delivery.objects.exclude(status=DeliveryStatus.DONE).count()
    assert done == 3 * len([one for one in wiring.consumers.values() if one.takes("incident.opened")]) >= 3
    monkeypatch.setattr(sweep, "PRUNE_BATCH", 2)
    assert prune_all() == 0
    with clock.at(clock.now() + KEEP_DONE + timedelta(minutes=1)), CaptureQueriesContext(connection) as queries:
        assert prune_all() == done
    deletions = [one["sql"] for one in queries if one["sql"].startswith("DELETE")]
    assert len(deletions) == -(-done // 2)
    with acme.inside():
        assert Delivery.objects.count() == kept


def test_pruning_finds_what_was_done_by_its_index(acme: Desk) -> None:
    """Without it every hour reads all deliveries of the last week. As the app, whose row-level security stands in between."""
    with acme.inside(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        done = done_before(clock.now()).filter(tenant_id=acme.tenant.pk).values_list("pk", flat=True)
        plan = done[:5000].explain()
    assert "delivery_done_tenant" in plan
    assert "Index Cond: ((tenant_id" in plan
    assert "(finished_at <" in plan.split("Index Cond:")[1].split("\n")[0]


def test_one_tenants_trouble_does_not_keep_the_answers_of_the_others(
    acme: Desk, globex: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for desk in (acme, globex):
        with desk.inside():
            IdempotencyKey.objects.create(caller_id=desk.tenant.pk, key="k", digest=b"", status=201, body=b"")
    real: Any = sweep.tenant

    def stuck(tenant_id: UUID) -> Any:
        if tenant_id == acme.tenant.pk:
            raise RuntimeError("broken")
        return real(tenant_id)

    later = clock.now() + timedelta(hours=49)
    with clock.at(later), monkeypatch.context() as patch:
        patch.setattr(sweep, "tenant", stuck)
        assert prune_idempotency_keys() == 1
    with clock.at(later):
        assert prune_idempotency_keys() == 1
