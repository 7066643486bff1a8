"""What monitoring asks, as sums over all tenants; and room in the pages of clocks, which change place in their index often."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from itsm.tenancy.sql import definer_function


class Migration(migrations.Migration):
    dependencies: ClassVar = [("sla", "0001_initial")]

    operations: ClassVar = [
        migrations.RunSQL(
            "ALTER TABLE sla_slaclock SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.01)",
            "ALTER TABLE sla_slaclock RESET (fillfactor, autovacuum_vacuum_scale_factor)",
        ),
        definer_function(
            "itsm_sla_figures()",
            """
            SELECT (SELECT min(next_due_at) FROM sla_slaclock WHERE next_due_at <= statement_timestamp()),
                   f.waiting, f.since,
                   (SELECT count(*) FROM sla_slaclock WHERE next_due_at IS NOT NULL AND attempts >= 5)
            FROM (SELECT count(*) AS waiting, min(fired_at) AS since FROM sla_slafire WHERE handled_at IS NULL) f
            """,
            returns="TABLE (due_since timestamptz, untold bigint, untold_since timestamptz, parked bigint)",
        ),
    ]
