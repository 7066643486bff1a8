"""Desks by the dozen: the first one of a process is made by commands, the others are its rows under other ids.

Making a desk takes a quarter of a second and hundreds of tests begin with one; writing its rows takes a tenth of that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from django.db import connection, models

from itsm.events.digest import event_digest
from itsm.events.models import Event
from itsm.kernel.ids import new_id
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Person, Team, Tenant, User
from itsm.tenancy.reconciler import tenant_models
from itsm.tenancy.roles import database_role
from tests.factories import Desk, make_desk

_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_SLUG = "acme"


@dataclass(frozen=True)
class _Rows:
    """The rows of one table as a JSON array, and the statement that writes them."""

    table: str
    write: str
    rows: str


@dataclass(frozen=True)
class _Pattern:
    """A desk as it was when commands had made it: its ids in order, its tables, and who is who."""

    ids: tuple[str, ...]
    tenant: str
    users: str
    tables: tuple[_Rows, ...]
    people: dict[str, str]
    logins: dict[str, str]
    teams: dict[str, str]


_pattern: _Pattern | None = None


def copied_desk(slug: str) -> Desk:
    """A desk as make_desk() makes it. Its ids are new, as what the product keeps in memory goes by them."""
    global _pattern
    if _pattern is None:
        made = make_desk(_SLUG)
        _pattern = _read(made)
        if slug == _SLUG:
            return made
    return _write(_pattern, slug)


def _read(desk: Desk) -> _Pattern:
    with desk.inside(), connection.cursor() as cursor:

        def rows(table: str, condition: str = "true", order: str = "1") -> str:
            found = f"SELECT * FROM {table} WHERE {condition} ORDER BY {order}"
            cursor.execute(f"SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text FROM ({found}) t")
            return str(cursor.fetchone()[0])

        tables = []
        for model in _in_order(tenant_models()):
            name, key = model._meta.db_table, model._meta.pk
            found = rows(name, order=str(key.column) if key is not None else "1")
            if found != "[]":
                tables.append(_Rows(name, _insert(model), found))
        users = ", ".join(f"'{user.pk}'" for user in desk.users.values())
        one = rows("tenancy_tenant", f"id = '{desk.tenant.pk}'")
        logins = rows("tenancy_user", f"id IN ({users})")
    text = "".join([one, logins, *(table.rows for table in tables)])
    return _Pattern(
        ids=tuple(sorted(set(_ID.findall(text)))),
        tenant=one,
        users=logins,
        tables=tuple(tables),
        people={name: str(person.pk) for name, person in desk.people.items()},
        logins={name: str(user.pk) for name, user in desk.users.items()},
        teams={name: str(team.pk) for name, team in desk.teams.items()},
    )


def _write(pattern: _Pattern, slug: str) -> Desk:
    # Ids are in the order of time; what was made first stays first.
    new = dict(zip(pattern.ids, sorted(str(new_id()) for _ in pattern.ids), strict=True))

    def told(text: str) -> str:
        text = _ID.sub(lambda found: new[found[0]], text)
        return text if slug == _SLUG else text.replace(_SLUG, slug).replace(_SLUG.title(), slug.title())

    def write(statement: str, rows: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, [rows])

    with database_role("owner"):
        write(_insert(Tenant), told(pattern.tenant))
    write(_insert(User), told(pattern.users))
    desk = Desk(Tenant.objects.get(slug=slug))
    with tenant(desk.tenant.pk):
        for table in pattern.tables:
            rows = told(table.rows)
            write(table.write, _sealed(rows) if table.table == Event._meta.db_table else rows)
        people = {str(person.pk): person for person in Person.objects.filter(tenant_id=desk.tenant.pk)}
        teams = {str(team.pk): team for team in Team.objects.filter(tenant_id=desk.tenant.pk)}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=[new[pk] for pk in pattern.logins.values()])}
    desk.people = {name: people[new[pk]] for name, pk in pattern.people.items()}
    desk.users = {name: users[new[pk]] for name, pk in pattern.logins.items()}
    desk.teams = {name: teams[new[pk]] for name, pk in pattern.teams.items()}
    return desk


def _sealed(rows: str) -> str:
    """Events with the digests of what they say now."""
    events = json.loads(rows)
    fields = {field.column: field for field in Event._meta.concrete_fields}
    for row in events:
        event = Event(
            **{
                fields[name].attname: fields[name].to_python(value)
                for name, value in row.items()
                if "digest" not in name
            }
        )
        row["digest"] = "\\x" + event_digest(event).hex()
    return json.dumps(events)


def _insert(model: type[models.Model]) -> str:
    """Writes rows of a model from a JSON array. A number that the database gives is given anew, in the order of the rows."""
    columns = ", ".join(
        str(field.column)
        for field in model._meta.local_concrete_fields
        if not isinstance(field, models.AutoField | models.GeneratedField)
    )
    table = model._meta.db_table
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb)"


def _in_order(found: list[type[Any]]) -> list[type[Any]]:
    """What others point at comes before them."""
    known = set(found)
    below: dict[type[Any], set[type[Any]]] = {
        model: {
            field.related_model
            for field in model._meta.get_fields()
            if isinstance(field, models.ForeignKey) and field.related_model in known - {model}
        }
        for model in found
    }
    return list(TopologicalSorter(below).static_order())
