"""PostgreSQL backend that tells each transaction its tenant at BEGIN, so that no statement can run without the wall."""

from __future__ import annotations

from django.db.backends.postgresql import base

from itsm.tenancy.context import TENANT_SETTING, current_tenant_id


class DatabaseWrapper(base.DatabaseWrapper):
    """Sends ``SET LOCAL itsm.tenant`` as the first statement of a transaction that starts inside a tenant.

    SET LOCAL dies with the transaction, so neither a pooled connection nor PgBouncer in transaction mode can carry one
    tenant's setting to the next user. Outside a tenant nothing is sent, and every tenant table refuses loudly.
    """

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]
        tenant_id = current_tenant_id()
        if not autocommit and tenant_id is not None:
            with self.wrap_database_errors:
                # SET takes no bind parameters; a UUID's text holds nothing but hex and hyphens.
                self.connection.execute(f"SET LOCAL {TENANT_SETTING} = '{tenant_id}'")
