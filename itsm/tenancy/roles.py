"""The two other database roles, each behind one door: the owner (provisioning) and the platform (sweeps)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections

from itsm.tenancy.context import current_tenant_id


@contextmanager
def database_role(role: str) -> Iterator[str]:
    """Answer the alias to use for work as ``role`` ("owner" or "platform").

    Normally that is a connection of its own. Where the settings map the role to "default" (the test suite, whose open
    transaction another connection could not see), the role is changed inside the transaction and changed back.
    """
    if current_tenant_id() is not None:
        raise RuntimeError(f"the {role} role is for work outside every tenant")
    alias = settings.DATABASE_ALIASES[role]
    if alias != "default":
        yield alias
        return
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(f'SET ROLE "{settings.DATABASE_ROLES[role]}"')
    try:
        yield alias
    finally:
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(f'SET ROLE "{settings.DATABASE_ROLES["app"]}"')
