"""The contract between models and database: every table of a tenant stands behind the whole wall."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection

from itsm.tenancy.audit import INDEXES_WITHOUT_TENANT
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.reconciler import GLOBAL_RIGHTS, references, tenant_models
from tests.committed import CommittedDatabase
from tests.factories import make_desk

#: Models without a tenant, each for a reason. A new model is a TenantModel, or somebody defends it here.
GLOBAL_MODELS = {
    "tenancy.Tenant": "what tenants are",
    "tenancy.User": "signs in, possibly to several tenants",
    "account.EmailAddress": "a user's address, as allauth keeps it",
    "account.EmailConfirmation": "allauth's; nothing is confirmed by it, the app has no right to it",
    "mfa.Authenticator": "a user's second step, encrypted",
    "sessions.Session": "a session begins before a tenant is known",
    "contenttypes.ContentType": "Django's list of models",
    "auth.Permission": "Django's; nothing grants it",
    "auth.Group": "Django's; nothing uses it",
    "admin.LogEntry": "Django's; our events take its place, the app has no right to it",
}
PREDICATE = "(tenant_id = (current_setting('itsm.tenant'::text))::uuid)"
APP, PLATFORM = "itsm_app", "itsm_platform"
APPEND_ONLY = {"events_event", "events_feedentry", "events_seal"}
MODELS = tenant_models()
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.label)


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def test_every_model_has_a_tenant_or_a_reason() -> None:
    without = {m._meta.label for m in apps.get_models(include_auto_created=True) if not issubclass(m, TenantModel)}
    ours = {label for label in without if not label.startswith("auth.") or "_" not in label}
    assert ours == set(GLOBAL_MODELS)


def test_append_only_tables_are_the_known_ones() -> None:
    assert {m._meta.db_table for m in MODELS if m.append_only} >= APPEND_ONLY


@every_model
@pytest.mark.django_db
def test_row_security_is_on_with_exactly_the_known_policies(model: type[TenantModel]) -> None:
    table = model._meta.db_table
    assert rows("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = %s", table) == [(True, False)]
    expected = [("tenant_isolation", "PERMISSIVE", f"{{{APP}}}", "ALL", PREDICATE, PREDICATE)]
    if model.platform_columns:
        expected.insert(0, ("platform_sweep", "PERMISSIVE", f"{{{PLATFORM}}}", "SELECT", "true", None))
    found = rows(
        "SELECT policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies WHERE tablename = %s ORDER BY 1",
        table,
    )
    assert found == expected


@every_model
@pytest.mark.django_db
def test_keys_and_indexes_start_with_the_tenant(model: type[TenantModel]) -> None:
    table = model._meta.db_table
    constraints = dict(
        rows(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype IN ('p', 'f', 'u', 'x')",
            table,
        )
    )
    definitions = set(constraints.values())
    assert f"PRIMARY KEY (tenant_id, {model._meta.pk.column})" in definitions
    for field in references(model):
        target = field.related_model._meta
        wanted = f"FOREIGN KEY (tenant_id, {field.column}) REFERENCES {target.db_table}(tenant_id, {target.pk.column})"
        assert wanted in definitions, field
    for name, definition in constraints.items():
        assert "NOT VALID" not in definition, name
        inner = definition.split("(", 1)[1]
        assert inner.startswith("tenant_id"), (name, definition)
    indexes = rows(
        "SELECT i.relname, a.attname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] WHERE x.indrelid = %s::regclass",
        table,
    )
    assert {name for name, first in indexes if first != "tenant_id"} <= INDEXES_WITHOUT_TENANT


@every_model
@pytest.mark.django_db
def test_grants_are_exactly_the_declared_ones(model: type[TenantModel]) -> None:
    table = model._meta.db_table
    granted = rows(
        "SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_name = %s "
        "AND grantee <> 'itsm_owner'",
        table,
    )
    # The information schema shows only what concerns roles that one may act as; the catalogue shows all.
    acl = rows(
        "SELECT coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), a.privilege_type FROM pg_class c, aclexplode(c.relacl) a "
        "WHERE c.relname = %s AND a.grantee <> c.relowner",
        table,
    )
    assert set(granted) <= set(acl)
    assert sorted(acl) == sorted((APP, right) for right in model.tenancy_rights)
    columns = rows(
        "SELECT coalesce(nullif(x.grantee, 0)::regrole::text, 'PUBLIC'), a.attname, x.privilege_type FROM pg_attribute a, "
        "aclexplode(a.attacl) x WHERE a.attrelid = %s::regclass",
        table,
    )
    assert sorted(columns) == sorted((PLATFORM, column, "SELECT") for column in model.platform_columns)


@pytest.mark.django_db
def test_no_other_relation_is_open_to_the_app() -> None:
    found = rows(
        "SELECT c.relname, coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), array_agg(a.privilege_type::text ORDER BY 1) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public', aclexplode(c.relacl) a "
        "WHERE a.grantee <> c.relowner AND c.relname <> ALL (%s) GROUP BY 1, 2",
        [model._meta.db_table for model in MODELS],
    )
    expected = {(table, APP): set(rights) for table, rights in GLOBAL_RIGHTS.items() if rights}
    expected["tenancy_tenant", PLATFORM] = {"SELECT"}
    assert {(table, role): set(rights) for table, role, rights in found} == expected
    assert GLOBAL_RIGHTS["tenancy_tenant"] == ("SELECT",)


@every_model
def test_no_unique_rule_and_no_many_to_many_without_the_tenant(model: type[TenantModel]) -> None:
    assert model._meta.local_many_to_many == []
    for field in model._meta.local_fields:
        assert not field.unique or field.primary_key, field
    for together in model._meta.unique_together:
        assert together[0] == "tenant"


@pytest.mark.parametrize("role", ["app", "owner"])
@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_the_log_refuses_change_by_app_and_owner(committed_db: CommittedDatabase, role: str, table: str) -> None:
    from itsm.events.relay import relay

    desk = make_desk("acme")
    relay(desk.tenant.pk)
    with committed_db.connect(role) as raw:
        for attack in (
            f"UPDATE {table} SET tenant_id = tenant_id",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"SET LOCAL session_replication_role = replica; DELETE FROM {table}",
        ):
            statements = f"SELECT set_config('itsm.tenant', '{desk.tenant.pk}', true); {attack}"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                raw.execute(statements)
    with committed_db.connect("owner") as raw:
        count = raw.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert count is not None
        assert count[0] > 0


def test_the_three_roles_are_what_they_must_be(committed_db: CommittedDatabase) -> None:
    with committed_db.connect("owner") as raw:
        found = raw.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles "
            "WHERE rolname IN ('itsm_app', 'itsm_platform') ORDER BY 1"
        ).fetchall()
    assert found == [(APP, False, False, False, False), (PLATFORM, False, False, False, False)]
    assert settings.DATABASE_ROLES == {"app": APP, "platform": PLATFORM, "owner": "itsm_owner"}
