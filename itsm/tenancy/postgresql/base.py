"""PostgreSQL backend that tells each transaction its tenant at BEGIN, so that no statement can run without the wall."""

from __future__ import annotations

import select
from datetime import UTC
from typing import Any

import psycopg
from django.db.backends.postgresql import base, schema
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.types.datetime import TimestamptzLoader

from itsm.tenancy.context import TENANT_SETTING, current_tenant_id


class _Instants:
    """psycopg's own reader of instants in UTC, compiled where it is.

    Django puts a subclass in its place that sets the zone in Python: four microseconds for each instant that is read, of which
    a list has hundreds. It would set the zone that the connection has anyway.
    """

    format = Format.TEXT
    #: What Django asks a loader for.
    timezone = UTC

    def __new__(cls, oid: int, context: Any = None) -> Any:
        return _OWN(oid, context)


_OWN = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT) or TimestamptzLoader


class SchemaEditor(schema.DatabaseSchemaEditor):
    """Lets what is built CONCURRENTLY wait as long as it must.

    It stands in nobody's way, and giving up at the lock timeout of a migration would leave an invalid index behind.
    """

    def execute(self, sql: Any, params: Any = ()) -> None:
        if self.collect_sql or "CONCURRENTLY" not in str(sql):
            super().execute(sql, params)
            return
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            (before,) = cursor.fetchone()
            cursor.execute("SET lock_timeout = 0")
        try:
            super().execute(sql, params)
        finally:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


class DatabaseWrapper(base.DatabaseWrapper):
    """Sends ``SET LOCAL itsm.tenant`` as the first statement of a transaction that starts inside a tenant.

    SET LOCAL dies with the transaction, so neither a pooled connection nor PgBouncer in transaction mode can carry one
    tenant's setting to the next user. Outside a tenant nothing is sent, and every tenant table refuses loudly.
    """

    SchemaEditorClass = SchemaEditor

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        if self.timezone is UTC:
            connection.adapters.register_loader("timestamptz", _Instants)
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]
        tenant_id = current_tenant_id()
        if not autocommit and tenant_id is not None:
            with self.wrap_database_errors:
                self._begin(f"BEGIN; SET LOCAL {TENANT_SETTING} = '{tenant_id}'")

    def _begin(self, statements: str) -> None:
        """Begin in one round trip; psycopg, which finds the transaction open then, would take two.

        SET takes no bind parameters; a UUID's text holds nothing but hex and hyphens.
        """
        server = self.connection.pgconn
        if server.transaction_status != TransactionStatus.IDLE:
            raise psycopg.OperationalError("the connection is lost or has a transaction already")
        result = server.exec_(statements.encode())
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)

    def is_usable(self) -> bool:
        """Whether the server still holds the connection, without asking it: an end that it has put shows on the socket.

        Called once a request. Only when something has come unasked is a statement sent to see what it was.
        """
        if self.connection is None or self.connection.closed:
            return False
        waiting = select.poll()
        waiting.register(self.connection.pgconn.socket, select.POLLIN)
        return not waiting.poll(0) or bool(super().is_usable())
