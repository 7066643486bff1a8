"""Many rows by one statement, for recorded history: model instances would cost more than the database does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg
from django.db import connection


def insert_rows(
    table: str,
    types: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Any],
    *,
    on_conflict: str = "",
) -> None:
    """Insert ``rows`` into ``table``, in the transaction that is open.

    ``types`` are the PostgreSQL types of the columns that differ from row to row; ``constants`` are those that are the
    same in all. Values are what JSON knows, and datetimes, UUIDs and ``hexed()`` bytes. Names of tables, columns and types
    are the code's own, never input.
    """
    if not rows:
        return
    columns = ", ".join((*types, *constants))
    record = ", ".join(f"{name} {kind}" for name, kind in types.items())
    values = ", ".join((*(f"r.{name}" for name in types), *("%s" for _ in constants)))
    sql = (
        f"INSERT INTO {table} ({columns}) SELECT {values} "
        f"FROM jsonb_to_recordset(%s::jsonb) AS r({record}) {on_conflict}"
    )
    connection.ensure_connection()
    # Bound by the server: half a megabyte of rows needs no quoting here and no lexing there.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql.encode(), [*constants.values(), orjson.dumps(rows).decode()])


def update_rows(table: str, types: Mapping[str, str], rows: Sequence[Mapping[str, Any]], tenant_id: Any) -> None:
    """Save ``rows`` of ``table``, each found by its ``id``, by one statement. ``types`` and values are those of insert_rows()."""
    if not rows:
        return
    record = ", ".join(f"{name} {kind}" for name, kind in types.items())
    marks = ", ".join(f"{name} = r.{name}" for name in types if name != "id")
    sql = (
        f"UPDATE {table} t SET {marks} FROM jsonb_to_recordset($1::jsonb) AS r({record}) "
        f"WHERE t.tenant_id = $2 AND t.id = r.id"
    )
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.RawCursor(connection.connection) as cursor:
        cursor.execute(sql.encode(), [orjson.dumps(rows).decode(), tenant_id])


def hexed(data: bytes) -> str:
    """Bytes as a bytea literal."""
    return "\\x" + data.hex()
