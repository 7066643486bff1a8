"""Reading and writing single rows of known models: the statements that Django's save() would build anew each time, built once.

What save() does beyond the statement is what this product does not use: signals, parents, deferred fields, guessing whether
the row exists. Values go through the same fields, so they are stored as Django stores them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, models

M = TypeVar("M", bound=models.Model)
#: Fields of a model, each with the type whose values need no conversion (_PLAIN).
Fields = list[tuple[Any, type | None]]
#: With more values than this, the driver reads a statement anew each time (psycopg's MAX_CACHED_STATEMENT_PARAMS): columns in
#: which nothing stands are left out then.
_READ_ONCE = 50


def insert(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model by one statement. A number that the database gives stays unknown here."""
    if not rows:
        return
    model = type(rows[0])
    head, mark, fields = _insert_into(model)
    if len(rows) * len(fields) > _READ_ONCE:
        head, mark, fields = _insert_into(model, _empty(rows, fields))
    database = connections[DEFAULT_DB_ALIAS]
    values = [_stored(row, field, plain, database, adding=True) for row in rows for field, plain in fields]
    with database.cursor() as cursor:
        cursor.execute(f"{head} VALUES {', '.join([mark] * len(rows))}", values)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(row: models.Model, names: Collection[str]) -> None:
    """Save these fields of a row that is stored. Raises DatabaseError when it is not there (any more)."""
    statement, fields = _update_of(type(row), frozenset(names))
    database = connections[DEFAULT_DB_ALIAS]
    values = [_stored(row, field, plain, database, adding=False) for field, plain in fields]
    with database.cursor() as cursor:
        cursor.execute(statement, [*values, row.tenant_id, row.pk])  # type: ignore[attr-defined]
        if cursor.rowcount != 1:
            raise DatabaseError(f"{row._meta.db_table}: the row to be saved is not there")


def _empty(rows: Sequence[models.Model], fields: Fields) -> frozenset[str]:
    """The columns in which none of the rows has anything."""
    names = (field.attname for field, _ in fields if field.null and not field.has_db_default())
    return frozenset(name for name in names if all(getattr(row, name) is None for row in rows))


def _stored(row: models.Model, field: Any, plain: type | None, database: Any, *, adding: bool) -> Any:
    """The value as Django stores it. One of a plain type goes as it is; asking its field takes ten calls to say so."""
    if plain is not None:
        value = getattr(row, field.attname)
        if value is None or type(value) is plain:
            return value
    return field.get_db_prep_save(field.pre_save(row, adding), database)


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


@lru_cache(maxsize=1000)
def _insert_into(model: type[models.Model], without: frozenset[str] = frozenset()) -> tuple[str, str, Fields]:
    every = (field for field in model._meta.local_concrete_fields if field.attname not in without)
    fields = [field for field in every if not isinstance(field, models.AutoField)]
    columns = ", ".join(str(field.column) for field in fields)
    marks = f"({', '.join(['%s'] * len(fields))})"
    return f"INSERT INTO {model._meta.db_table} ({columns})", marks, [(field, _plain(field)) for field in fields]


@lru_cache(maxsize=1000)
def _update_of(model: type[models.Model], names: frozenset[str]) -> tuple[str, Fields]:
    by_name = {name: field for field in model._meta.local_concrete_fields for name in (field.name, field.attname)}
    fields = sorted({by_name[name] for name in names}, key=lambda field: str(field.column))
    marks = ", ".join(f"{field.column} = %s" for field in fields)
    where = f"tenant_id = %s AND {model._meta.pk.column} = %s"
    return f"UPDATE {model._meta.db_table} SET {marks} WHERE {where}", [(field, _plain(field)) for field in fields]


#: Fields whose values of this type the driver stores as Django would have it. (Not whole numbers: Django says how wide they are.)
_PLAIN = {
    models.UUIDField: UUID,
    models.CharField: str,
    models.TextField: str,
    models.DateTimeField: datetime,
    models.BooleanField: bool,
}


def _plain(field: Any) -> type | None:
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return None
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    return _PLAIN.get(type(target))
