"""Reading and writing single rows of known models: the statements that Django's save() would build anew each time, built once.

What save() does beyond the statement is what this product does not use: signals, parents, deferred fields, guessing whether
the row exists. Values go through the same fields, so they are stored as Django stores them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import DatabaseError, connection, models

M = TypeVar("M", bound=models.Model)


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
    fields = sorted({by_name[name] for name in names}, key=lambda field: field.column)
    values = [field.get_db_prep_save(field.pre_save(row, False), connection) for field in fields]
    marks = ", ".join(f"{field.column} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {marks} WHERE tenant_id = %s AND {key} = %s",
            [*values, row.tenant_id, row.pk],  # type: ignore[attr-defined]
        )
        if cursor.rowcount != 1:
            raise DatabaseError(f"{table}: the row to be saved is not there")


def read(model: type[M], tenant_id: UUID, pk: UUID) -> M | None:
    """The stored row of a tenant, or None."""
    statement, names = _select_from(model)
    with connection.cursor() as cursor:
        cursor.execute(statement, [tenant_id, pk])
        row = cursor.fetchone()
    return None if row is None else model.from_db(connection.alias, names, row)


@cache
def _select_from(model: type[models.Model]) -> tuple[str, list[str]]:
    fields = model._meta.concrete_fields
    columns = ", ".join(str(field.column) for field in fields)
    where = f"tenant_id = %s AND {model._meta.pk.column} = %s"
    return f"SELECT {columns} FROM {model._meta.db_table} WHERE {where}", [field.attname for field in fields]


@cache
def _insert_into(model: type[models.Model]) -> tuple[str, list[Any]]:
    fields = [field for field in model._meta.local_concrete_fields if not isinstance(field, models.AutoField)]
    columns = ", ".join(str(field.column) for field in fields)
    return f"INSERT INTO {model._meta.db_table} ({columns})", fields


@cache
def _update_of(model: type[models.Model]) -> tuple[str, dict[str, Any], str]:
    fields = {name: field for field in model._meta.local_concrete_fields for name in (field.name, field.attname)}
    return model._meta.db_table, fields, str(model._meta.pk.column)
