"""What is done, by when: pruning looks for what was done a week ago, and without it read all deliveries of the tenant."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built beside the running product cannot be built inside a transaction.
    atomic = False

    dependencies: ClassVar = [("events", "0002_figures")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "delivery",
            models.Index(
                fields=["tenant", "finished_at"], name="delivery_done_tenant", condition=models.Q(status="done")
            ),
        ),
    ]
