"""What monitoring asks, as sums over all tenants."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from itsm.tenancy.sql import definer_function


class Migration(migrations.Migration):
    dependencies: ClassVar = [("escalation", "0001_initial")]

    operations: ClassVar = [
        definer_function(
            "itsm_escalation_figures()",
            """
            SELECT (SELECT min(next_due_at) FROM escalation_escalationrun WHERE next_due_at <= statement_timestamp()),
                   f.waiting, f.since,
                   (SELECT count(*) FROM escalation_escalationrun WHERE next_due_at IS NOT NULL AND attempts >= 5)
            FROM (SELECT count(*) AS waiting, min(fired_at) AS since FROM escalation_escalationfire
                  WHERE handled_at IS NULL) f
            """,
            returns="TABLE (due_since timestamptz, untold bigint, untold_since timestamptz, parked bigint)",
        ),
    ]
