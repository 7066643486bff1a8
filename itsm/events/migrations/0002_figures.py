"""What monitoring asks: sums over all tenants, told by a narrow function, and the index that makes one of them cheap."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from itsm.tenancy.sql import definer_function


class Migration(migrations.Migration):
    # An index that is built beside the running product cannot be built inside a transaction.
    atomic = False

    dependencies: ClassVar = [("events", "0001_initial")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "delivery",
            models.Index(
                fields=["tenant", "available_at"], name="delivery_dead_tenant", condition=models.Q(status="dead")
            ),
        ),
        definer_function(
            "itsm_log_figures()",
            """
            SELECT o.waiting, o.since, p.waiting, p.due, (SELECT count(*) FROM events_delivery WHERE status = 'dead')
            FROM (SELECT count(*) AS waiting, min(created_at) AS since FROM events_outbox) o,
                 (SELECT count(*) AS waiting,
                    CASE WHEN min(available_at) <= statement_timestamp() THEN min(available_at) END AS due
                  FROM events_delivery WHERE status = 'pending') p
            """,
            returns="TABLE (outbox bigint, outbox_since timestamptz, pending bigint, due_since timestamptz, dead bigint)",
        ),
    ]
