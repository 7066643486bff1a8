"""Open work in the order in which it falls due. Without it, both its list and the count of what is overdue read all of it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index that is built beside the running product cannot be built inside a transaction.
    atomic = False

    dependencies: ClassVar = [("tickets", "0007_settings_of_everybody")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "ticket",
            models.Index(
                fields=["tenant", "due_at", "-id"],
                name="ticket_open_due",
                condition=models.Q(state_category__in=["new", "active", "waiting"]),
            ),
        ),
    ]
