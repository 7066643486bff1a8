"""Major incidents: the mark on the spine with the index of their list, and the days until a review is due."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built beside the running product cannot be built inside a transaction.
    atomic = False

    dependencies: ClassVar = [("tickets", "0008_due_next")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="desksettings",
            name="major_review_days",
            field=models.PositiveSmallIntegerField(
                db_default=5,
                default=5,
                help_text="Business days after resolving a major incident until its review is due.",
            ),
        ),
        migrations.AddField(
            model_name="ticket", name="is_major", field=models.BooleanField(db_default=False, default=False)
        ),
        AddIndexConcurrently(
            "ticket",
            models.Index(
                fields=["tenant", "priority", "-id"], name="ticket_major", condition=models.Q(is_major=True)
            ),
        ),
    ]
