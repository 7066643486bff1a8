"""The start-up audit: the product refuses to run on a database whose wall has a hole."""

from __future__ import annotations

from django.conf import settings
from django.db import connections, models

from itsm.tenancy.catalogue import PUBLIC, Catalogue
from itsm.tenancy.reconciler import GLOBAL_RIGHTS, plan, tenant_models

#: Indexes that do not start with the tenant, on purpose: for sweeps over all tenants and for what comes before a tenant.
INDEXES_WITHOUT_TENANT: frozenset[str] = frozenset(
    {
        "delivery_due",
        "dispatch_due",
        "sla_clock_due",
        "sla_fire_waiting",
        "escalation_run_due",
        "escalation_fire_waiting",
        # Read by the two functions that answer before any tenant is known.
        "access_apitoken_hash",
        "tenancy_membership_user",
    }
)
#: Functions that run with their owner's rights and that the app may call: each is a hole made on purpose, see sql.py.
DEFINER_FUNCTIONS: frozenset[str] = frozenset(
    {
        "itsm_tenant_of_token",
        "itsm_tenants_of_user",
        "itsm_search",
        "itsm_log_figures",
        "itsm_sla_figures",
        "itsm_escalation_figures",
        "itsm_ledger_figures",
    }
)


class UnsafeDatabase(RuntimeError):
    """The audit found holes; the message lists all of them."""


def role_findings(using: str = "default") -> list[str]:
    """What is wrong with the role that the app connects as: it may own nothing and bypass nothing."""
    findings = []
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT current_user, r.rolsuper, r.rolbypassrls, "
            "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            " WHERE n.nspname = 'public' AND c.relowner = r.oid) FROM pg_roles r WHERE r.rolname = current_user"
        )
        role, superuser, bypass, owned = cursor.fetchone()
    if superuser:
        findings.append(f"role {role} is a superuser: row-level security does not apply to it")
    if bypass:
        findings.append(f"role {role} has BYPASSRLS")
    if owned:
        findings.append(f"role {role} owns {owned} relations: row-level security does not apply to an owner")
    if role != settings.DATABASE_ROLES["app"]:
        findings.append(f"connected as {role}, expected {settings.DATABASE_ROLES['app']}")
    return findings


def model_findings() -> list[str]:
    """Holes that a model opens: a unique rule or an index without the tenant, an automatic many-to-many table."""
    findings = []
    for model in tenant_models():
        meta = model._meta
        for field in meta.local_fields:
            if field.unique and not field.primary_key:
                findings.append(f"{meta.label}.{field.name}: unique without tenant tells one tenant about another")
        for rule in meta.total_unique_constraints + [
            c
            for c in meta.constraints
            if isinstance(c, models.UniqueConstraint) and c not in meta.total_unique_constraints
        ]:
            if not rule.fields or rule.fields[0] != "tenant":
                findings.append(f"{meta.label}: unique constraint {rule.name} does not start with tenant")
        for index in meta.indexes:
            if index.name in INDEXES_WITHOUT_TENANT:
                continue
            if not index.fields or index.fields[0].lstrip("-") != "tenant":
                findings.append(f"{meta.label}: index {index.name} does not start with tenant")
        for many in meta.local_many_to_many:
            findings.append(f"{meta.label}.{many.name}: an automatic many-to-many table has no tenant")
    return findings


def schema_findings(using: str = "default") -> list[str]:
    """What else in the database opens the wall: memberships, other relations, functions, indexes without the tenant."""
    catalogue = Catalogue(connections[using])
    roles = [settings.DATABASE_ROLES["app"], settings.DATABASE_ROLES["platform"]]
    found = [
        f"role {role} may act as {other}: it could step around row-level security"
        for role, other in catalogue.rows(
            "SELECT m.rolname, g.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member "
            "JOIN pg_roles g ON g.oid = a.roleid WHERE m.rolname = ANY (%s)",
            [roles],
        )
    ]
    found += [
        f"role {role} may create objects in the schema"
        for (role,) in catalogue.rows(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND has_schema_privilege(oid, 'public', 'CREATE')",
            [roles],
        )
    ]
    tables = {model._meta.db_table for model in tenant_models()}
    known = tables | set(GLOBAL_RIGHTS)
    # What an extension brings (a statistics view, say) holds no tenant's rows.
    known |= {
        name
        for (name,) in catalogue.rows(
            "SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e' "
            "AND d.classid = 'pg_class'::regclass"
        )
    }
    for relation, role in sorted({*catalogue.grants, *catalogue.column_grants}):
        if relation not in known and role in {*roles, PUBLIC}:
            found.append(f"{relation}: {role} has rights on a relation that the wall does not cover")
    found += [
        f"function {name} runs with its owner's rights and is not on the list of those that may"
        for (name,) in catalogue.rows(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public' "
            "WHERE p.prosecdef AND has_function_privilege(%s, p.oid, 'EXECUTE') AND p.proname <> ALL (%s)",
            [roles[0], sorted(DEFINER_FUNCTIONS)],
        )
    ]
    found += [
        f"{table}: index {name} does not start with the tenant"
        for table, name, first in catalogue.rows(
            "SELECT c.relname, i.relname, a.attname FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid "
            "JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] "
            "WHERE c.relname = ANY (%s)",
            [sorted(tables)],
        )
        if first != "tenant_id" and name not in INDEXES_WITHOUT_TENANT
    ]
    return found


def findings(using: str = "default") -> list[str]:
    """All that is wrong, as sentences for the operator; an empty list means that the wall stands."""
    drift = [f"{step.table}: {step.reason}" for step in plan(connections[using])]
    return role_findings(using) + schema_findings(using) + model_findings() + drift


def refuse_unless_safe(using: str = "default") -> None:
    """Raise UnsafeDatabase unless the wall stands. Web and worker call it before they take work."""
    found = findings(using)
    if found:
        raise UnsafeDatabase("The database is not safe to serve tenants from:\n- " + "\n- ".join(found))
