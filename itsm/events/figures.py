"""The state of the log over all tenants, as numbers: what waits, since when, what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class LogFigures:
    """``outbox`` events are not sealed yet; of ``pending`` deliveries, those since ``due_since`` could be tried now."""

    outbox: int
    outbox_since: datetime | None
    pending: int
    due_since: datetime | None
    dead: int


def log_figures() -> LogFigures:
    """Count now. The function of the database tells sums only, so that a process that serves requests may ask it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT outbox, outbox_since, pending, due_since, dead FROM itsm_log_figures()")
        return LogFigures(*cursor.fetchone())
