"""Which tenant the running code belongs to. Set once at a door, sent to the database at BEGIN, gone at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connections, transaction

_current: ContextVar[UUID | None] = ContextVar("tenant_id", default=None)

#: The run-time setting that the row-level security policies read.
TENANT_SETTING = "itsm.tenant"


class TenantMismatch(RuntimeError):
    """Code inside one tenant tried to enter another: one transaction is one tenant."""


def current_tenant_id() -> UUID | None:
    """The tenant in force, or None outside every tenant (also the default of the ``tenant`` column: never raises)."""
    return _current.get()


@contextmanager
def tenant(tenant_id: UUID, *, using: str = "default") -> Iterator[None]:
    """Run the block inside ``tenant_id``, in a transaction (a savepoint when one is open).

    Entering the same tenant again is harmless; entering another one raises TenantMismatch.
    """
    before = _current.get()
    if before is not None and before != tenant_id:
        raise TenantMismatch(f"already inside tenant {before}, refused to enter {tenant_id}")
    connection = connections[using]
    joins = connection.in_atomic_block
    token = _current.set(tenant_id)
    try:
        with transaction.atomic(using=using):
            if joins and before is None:
                # The backend sends the setting at BEGIN; this transaction began outside any tenant.
                _send(using, str(tenant_id))
            yield
            if joins and before is None and not connection.needs_rollback:
                # SET LOCAL survives RELEASE SAVEPOINT: without this, the rest of the outer transaction would silently
                # run inside the tenant. (A rollback to the savepoint restores the old value by itself.)
                _send(using, "")
    finally:
        _current.reset(token)


def _send(using: str, value: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [TENANT_SETTING, value])
