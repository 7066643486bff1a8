"""Which tenant a request means. Every request asks, so the statements are written out once and not built each time."""

from __future__ import annotations

from typing import Any, Literal

from django.db import connection

from itsm.tenancy.models import Tenant

_COLUMNS = [field.attname for field in Tenant._meta.concrete_fields]
_WHERE = {
    "slug": "t.slug = %s",
    "host": "t.host = %s",
    # One of the two narrow functions that answer before any tenant is known.
    "token": "t.id = itsm_tenant_of_token(%s)",
}


def active_tenant(by: Literal["slug", "host", "token"], value: Any) -> Tenant | None:
    """The active tenant with this slug or host, or (``token``) whose token has this hash."""
    columns = ", ".join(f"t.{name}" for name in _COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM tenancy_tenant t WHERE t.is_active AND {_WHERE[by]}", [value])
        row = cursor.fetchone()
    return None if row is None else Tenant.from_db("default", _COLUMNS, row)
