"""What the database has now, read from its catalogue by a handful of queries."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

#: How the grants of everybody are called here; PostgreSQL keeps them under role 0.
PUBLIC = "PUBLIC"

_RELATION = "JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END"


class Catalogue:
    """Keys, policies, grants and triggers of the schema ``public``, each keyed by the name of its table."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.columns = set(
            self.rows("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
        )
        #: (table, constraint) → definition; " NOT VALID" at its end tells a check that was never made.
        self.constraints: dict[tuple[str, str], str] = {
            (table, name): definition
            for table, name, definition in self.rows(
                "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
                f"JOIN pg_class c ON c.oid = k.conrelid {_RELATION} WHERE k.contype IN ('p', 'f', 'u')"
            )
        }
        self.secured = {
            name for (name,) in self.rows(f"SELECT c.relname FROM pg_class c {_RELATION} WHERE c.relrowsecurity")
        }
        #: (table, policy) → (USING, CHECK, roles, command, permissive).
        self.policies: dict[tuple[str, str], tuple[Any, ...]] = {
            (table, name): tuple(rest)
            for table, name, *rest in self.rows(
                "SELECT tablename, policyname, qual, with_check, array_to_string(roles, ','), cmd, permissive "
                "FROM pg_policies WHERE schemaname = 'public'"
            )
        }
        #: (relation, role) → rights; the owner's own are left out. Views, sequences and all else are in here, too.
        self.grants: dict[tuple[str, str], set[str]] = {}
        for table, role, right in self.rows(
            f"SELECT c.relname, {_GRANTEE}, a.privilege_type FROM pg_class c {_RELATION}, aclexplode(c.relacl) a "
            "WHERE a.grantee <> c.relowner"
        ):
            self.grants.setdefault((table, role), set()).add(right)
        #: (relation, role) → (column, right).
        self.column_grants: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for table, role, column, right in self.rows(
            f"SELECT c.relname, {_GRANTEE}, k.attname, a.privilege_type FROM pg_attribute k "
            f"JOIN pg_class c ON c.oid = k.attrelid {_RELATION}, aclexplode(k.attacl) a WHERE a.grantee <> c.relowner"
        ):
            self.column_grants.setdefault((table, role), set()).add((column, right))
        #: (table, trigger) of triggers that fire always, whatever session_replication_role says.
        self.triggers = set(
            self.rows(
                f"SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid {_RELATION} "
                "WHERE NOT t.tgisinternal AND t.tgenabled = 'A'"
            )
        )

    def rows(self, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def has_table(self, model: type[models.Model]) -> bool:
        table = model._meta.db_table
        return all((table, field.column) in self.columns for field in model._meta.local_fields)

    def is_empty(self, table: str) -> bool:
        return not self.rows(f'SELECT 1 FROM "{table}" LIMIT 1')
