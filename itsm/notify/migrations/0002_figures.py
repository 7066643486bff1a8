"""What monitoring asks of the ledger: sums over all tenants, told by a narrow function."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from itsm.tenancy.sql import definer_function


class Migration(migrations.Migration):
    dependencies: ClassVar = [("notify", "0001_initial")]

    operations: ClassVar = [
        definer_function(
            "itsm_ledger_figures()",
            """
            SELECT count(*) FILTER (WHERE status = 'planned'), count(*) FILTER (WHERE status = 'held'),
              min(available_at) FILTER (WHERE available_at <= statement_timestamp())
            FROM notify_dispatch WHERE status IN ('planned', 'held')
            """,
            returns="TABLE (planned bigint, held bigint, due_since timestamptz)",
        ),
    ]
