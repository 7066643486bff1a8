"""Writing single rows of known models: the statements that Django's save() would build anew each time, built once.

What save() does beyond the statement is what this product does not use: signals, parents, deferred fields, guessing whether
the row exists. Values go through the same fields, so they are stored as Django stores them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.db import DatabaseError, connection, models


def insert(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model by one statement. A number that the database gives stays unknown here."""
    if not rows:
        return
    head, fields = _insert_into(type(rows[0]))
    mark = f"({', '.join(['%s'] * len(fields))})"
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"{head} VALUES {', '.join([mark] * len(rows))}", values)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(row: models.Model, names: Collection[str]) -> None:
    """Save these fields of a row that is stored. Raises DatabaseError when it is not there (any more)."""
    table, by_name, key = _update_of(type(row))
    fields = [by_name[name] for name in sorted(names)]
    values = [field.get_db_prep_save(field.pre_save(row, False), connection) for field in fields]
    marks = ", ".join(f"{field.column} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {marks} WHERE tenant_id = %s AND {key} = %s",
            [*values, row.tenant_id, row.pk],  # type: ignore[attr-defined]
        )
        if cursor.rowcount != 1:
            raise DatabaseError(f"{table}: the row to be saved is not there")


@cache
def _insert_into(model: type[models.Model]) -> tuple[str, list[Any]]:
    fields = [field for field in model._meta.local_concrete_fields if not isinstance(field, models.AutoField)]
    columns = ", ".join(str(field.column) for field in fields)
    return f"INSERT INTO {model._meta.db_table} ({columns})", fields


@cache
def _update_of(model: type[models.Model]) -> tuple[str, dict[str, Any], str]:
    fields = {field.name: field for field in model._meta.local_concrete_fields}
    return model._meta.db_table, fields, str(model._meta.pk.column)
