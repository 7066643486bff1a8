"""Every row of a tenant in one look: what a refusal must leave as it was."""

from __future__ import annotations

from django.db import connection

from itsm.tenancy.reconciler import tenant_models
from tests.factories import Desk

#: That somebody was refused is recorded, and waits to go out like every event.
_REFUSALS = "SELECT id FROM events_event WHERE kind = 'access.refused'"
_ROWS = {
    "events_event": "events_event WHERE kind <> 'access.refused'",
    "events_outbox": f"events_outbox WHERE event_id NOT IN ({_REFUSALS})",
    "events_eventtext": f"events_eventtext WHERE event_id NOT IN ({_REFUSALS})",
}
#: A token notes when it was used, whatever came of it.
_SHOWN = {"access_apitoken": "(to_jsonb(t) - 'last_used_at')::text"}


def snapshot(desk: Desk, *, but: frozenset[str] = frozenset()) -> dict[str, tuple[int, str]]:
    """Number and digest of the rows of every table of the tenant; what a refused request itself leaves is not counted."""
    tables = [model._meta.db_table for model in tenant_models() if model._meta.db_table not in but]
    parts = [
        f"SELECT '{table}', count(*), md5(coalesce(string_agg({_SHOWN.get(table, 't::text')}, chr(10)"
        f" ORDER BY t::text), '')) FROM (SELECT * FROM {_ROWS.get(table, table)}) t"
        for table in tables
    ]
    with desk.inside(), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        return {table: (rows, digest) for table, rows, digest in cursor.fetchall()}


def changes(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> list[str]:
    """What differs, for the message of a failed test."""
    return [
        f"{table}: {before[table][0]} → {after[table][0]} rows" for table in before if before[table] != after.get(table)
    ]
