"""The state of the ledger over all tenants, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """``planned`` and ``held`` dispatches; the oldest that should have left has been due since ``due_since``."""

    planned: int
    held: int
    due_since: datetime | None


def ledger_figures() -> LedgerFigures:
    """Count now. The function of the database tells sums only, so that a process that serves requests may ask it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT planned, held, due_since FROM itsm_ledger_figures()")
        return LedgerFigures(*cursor.fetchone())
