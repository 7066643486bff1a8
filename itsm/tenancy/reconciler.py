"""Writes the wall into the database from the models: keys, foreign keys, row-level security, grants, append-only triggers.

``plan()`` compares what the models want with the catalogue and answers SQL statements. After ``migrate`` they are applied
to new or empty tables only; on a table with rows, structural changes are left to an ordinary migration, which
``manage.py reconcile_tenancy --write-migration`` writes (CONCURRENTLY, NOT VALID then VALIDATE). Policies and grants are
cheap and safe at any size, so they are always applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from itsm.tenancy.catalogue import PUBLIC, Catalogue
from itsm.tenancy.fields import TenantModel

POLICY = "tenant_isolation"
PLATFORM_POLICY = "platform_sweep"
#: The bare predicate: an unset tenant is an error, never "all rows" and never silence.
PREDICATE = "(tenant_id = (current_setting('itsm.tenant'::text))::uuid)"
APPEND_ONLY_FUNCTION = "itsm_refuse_change"

#: What the app role may do with tables that belong to no tenant; a table that is not named here gets no rights at all.
GLOBAL_RIGHTS: dict[str, tuple[str, ...]] = {
    "tenancy_tenant": ("SELECT",),
    "tenancy_user": ("SELECT", "INSERT", "UPDATE"),
    "django_session": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    # Who signs in belongs to no tenant, so neither do his second steps; addresses are confirmed without a table.
    "account_emailaddress": ("SELECT", "INSERT", "UPDATE"),
    "account_emailconfirmation": (),
    "mfa_authenticator": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "django_content_type": ("SELECT",),
    "django_migrations": ("SELECT",),
}
#: What the platform role may read beside the columns that models name: it has to know which tenants there are.
PLATFORM_GLOBAL = ("tenancy_tenant",)


@dataclass(frozen=True, slots=True)
class Step:
    """One change: the table, why, the SQL, and whether it rewrites or scans the table (``structural``)."""

    table: str
    reason: str
    sql: str
    structural: bool = False
    #: The same change for a table with rows, as separate statements outside a transaction.
    online: tuple[str, ...] = ()


def tenant_models() -> list[type[TenantModel]]:
    """All concrete models that belong to a tenant, in the order of their tables' names."""
    found = [m for m in apps.get_models() if issubclass(m, TenantModel)]
    return sorted(found, key=lambda m: m._meta.db_table)


def references(model: type[models.Model]) -> Iterator[models.ForeignKey[Any, Any]]:
    """The model's references to other tenant tables (not the one to Tenant itself)."""
    for field in model._meta.local_fields:
        if isinstance(field, models.ForeignKey) and issubclass(field.related_model, TenantModel):
            yield field


def constraint_name(model: type[models.Model], column: str) -> str:
    """Name of the composite foreign key; PostgreSQL cuts names at 63 bytes, so a long one keeps its distinct end."""
    return f"{model._meta.db_table}_{column}_tenant_fk"[-63:]


def plan(connection: BaseDatabaseWrapper) -> list[Step]:
    """Everything in which the database differs from the models, in an order in which it can be applied."""
    catalogue = Catalogue(connection)
    app_role, platform_role = settings.DATABASE_ROLES["app"], settings.DATABASE_ROLES["platform"]
    present = [model for model in tenant_models() if catalogue.has_table(model)]
    steps = [step for model in present for step in _primary_key(model, catalogue)]
    for model in present:
        table = model._meta.db_table
        steps += _foreign_keys(model, catalogue)
        steps += _row_security(model, catalogue, app_role, platform_role)
        steps += _rights(table, app_role, model.tenancy_rights, catalogue)
        steps += _rights(table, platform_role, (), catalogue, columns=model.platform_columns)
        steps += _rights(table, PUBLIC, (), catalogue)
        steps += _append_only(model, catalogue)
    for table, rights in GLOBAL_RIGHTS.items():
        if any(name == table for name, _ in catalogue.columns):
            steps += _rights(table, app_role, rights, catalogue)
            steps += _rights(table, platform_role, ("SELECT",) if table in PLATFORM_GLOBAL else (), catalogue)
            steps += _rights(table, PUBLIC, (), catalogue)
    return steps


def _primary_key(model: type[TenantModel], catalogue: Catalogue) -> Iterator[Step]:
    table, column = model._meta.db_table, model._meta.pk.column
    wanted = f"PRIMARY KEY (tenant_id, {column})"
    current = [(n, d) for (t, n), d in catalogue.constraints.items() if t == table and d.startswith("PRIMARY KEY")]
    if any(definition == wanted for _, definition in current):
        return
    drop = "".join(f'DROP CONSTRAINT "{name}", ' for name, _ in current)
    name = f"{table}_pkey"
    yield Step(
        table,
        f"primary key is not (tenant_id, {column})",
        f'ALTER TABLE "{table}" {drop}ADD CONSTRAINT "{name}" {wanted}',
        structural=True,
        online=(
            f'DROP INDEX CONCURRENTLY IF EXISTS "{name}_new"',
            f'CREATE UNIQUE INDEX CONCURRENTLY "{name}_new" ON "{table}" (tenant_id, {column})',
            f'ALTER TABLE "{table}" {drop}ADD CONSTRAINT "{name}" PRIMARY KEY USING INDEX "{name}_new"',
        ),
    )


def _foreign_keys(model: type[TenantModel], catalogue: Catalogue) -> Iterator[Step]:
    table = model._meta.db_table
    for field in references(model):
        target = field.related_model._meta
        name = constraint_name(model, field.column)
        wanted = f"FOREIGN KEY (tenant_id, {field.column}) REFERENCES {target.db_table}(tenant_id, {target.pk.column})"
        if catalogue.constraints.get((table, name)) == wanted:
            continue
        drop = f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"'
        add = f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" {wanted}'
        yield Step(
            table,
            f"{field.column} could refer to another tenant",
            f"{drop}; {add}",
            structural=True,
            online=(drop, f"{add} NOT VALID", f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"'),
        )


def _row_security(model: type[TenantModel], catalogue: Catalogue, app_role: str, platform_role: str) -> Iterator[Step]:
    table = model._meta.db_table
    if table not in catalogue.secured:
        yield Step(table, "row-level security is off", f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    wanted = {POLICY: (PREDICATE, PREDICATE, app_role, "ALL", "PERMISSIVE")}
    clauses = {POLICY: f'TO "{app_role}" USING {PREDICATE} WITH CHECK {PREDICATE}'}
    if model.platform_columns:
        wanted[PLATFORM_POLICY] = ("true", None, platform_role, "SELECT", "PERMISSIVE")  # type: ignore[assignment]
        clauses[PLATFORM_POLICY] = f'FOR SELECT TO "{platform_role}" USING (true)'
    have = {name: policy for (owner, name), policy in catalogue.policies.items() if owner == table}
    for name in sorted(set(have) - set(wanted)):
        # Policies are joined by OR: one more of them can only let more rows through.
        yield Step(table, f"the policy {name} does not belong here", f'DROP POLICY "{name}" ON "{table}"')
    for name, policy in wanted.items():
        if have.get(name) != policy:
            yield Step(
                table,
                f"the policy {name} is missing or differs",
                f'DROP POLICY IF EXISTS {name} ON "{table}"; CREATE POLICY {name} ON "{table}" {clauses[name]}',
            )


def _rights(
    table: str, role: str, wanted: tuple[str, ...], catalogue: Catalogue, *, columns: tuple[str, ...] = ()
) -> Iterator[Step]:
    have = catalogue.grants.get((table, role), set())
    have_columns = catalogue.column_grants.get((table, role), set())
    if have == set(wanted) and have_columns == {(column, "SELECT") for column in columns}:
        return
    name = PUBLIC if role == PUBLIC else f'"{role}"'
    # Revoking a right on a table takes it away from its columns as well.
    sql = f'REVOKE ALL ON "{table}" FROM {name}'
    if wanted:
        sql += f'; GRANT {", ".join(wanted)} ON "{table}" TO {name}'
    if columns:
        sql += f'; GRANT SELECT ({", ".join(columns)}) ON "{table}" TO {name}'
    found = sorted(have) + sorted(f"{right} of {column}" for column, right in have_columns)
    should = sorted(wanted) + [f"SELECT of {column}" for column in sorted(columns)]
    yield Step(table, f"{role} has {found}, should have {should}", sql)


def _append_only(model: type[TenantModel], catalogue: Catalogue) -> Iterator[Step]:
    table = model._meta.db_table
    if not model.append_only or {(table, f"{table}_rows"), (table, f"{table}_all")} <= catalogue.triggers:
        return
    # ENABLE ALWAYS: session_replication_role cannot switch it off. The owner is stopped too; a superuser is not, and is
    # found by the digest chain.
    yield Step(
        table,
        "rows could be changed after they were written",
        f"CREATE OR REPLACE FUNCTION {APPEND_ONLY_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$; "
        f'CREATE OR REPLACE TRIGGER "{table}_rows" BEFORE UPDATE OR DELETE ON "{table}" FOR EACH ROW '
        f"EXECUTE FUNCTION {APPEND_ONLY_FUNCTION}(); "
        f'CREATE OR REPLACE TRIGGER "{table}_all" BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT '
        f"EXECUTE FUNCTION {APPEND_ONLY_FUNCTION}(); "
        f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{table}_rows"; '
        f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{table}_all"',
    )


def apply(connection: BaseDatabaseWrapper, steps: Iterable[Step]) -> list[Step]:
    """Apply what is safe by itself; answer the structural steps that were left because their table has rows."""
    catalogue = Catalogue(connection)
    left: list[Step] = []
    for step in steps:
        if step.structural and not catalogue.is_empty(step.table):
            left.append(step)
            continue
        # One message of several statements is one transaction, so a step is made as a whole or not at all.
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '5s'; {step.sql}")
    return left


def after_migrate(using: str = DEFAULT_DB_ALIAS, verbosity: int = 1, **_: Any) -> None:
    """Called by Django when ``migrate`` has finished, on the connection that migrated (the owner's)."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        raise RuntimeError("Viable runs on PostgreSQL only.")
    left = apply(connection, plan(connection))
    if left and verbosity:
        print("  Tenancy: these changes need a migration (manage.py reconcile_tenancy --write-migration):")  # noqa: T201
        for step in left:
            print(f"    {step.table}: {step.reason}")  # noqa: T201
