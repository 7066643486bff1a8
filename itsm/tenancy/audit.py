"""The start-up audit: the product refuses to run on a database whose wall has a hole."""

from __future__ import annotations

from django.conf import settings
from django.db import connections, models

from itsm.tenancy.reconciler import plan, tenant_models

#: Indexes that do not start with the tenant, on purpose: partial indexes that serve sweeps over all tenants.
INDEXES_WITHOUT_TENANT: frozenset[str] = frozenset({"delivery_due"})


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


def findings(using: str = "default") -> list[str]:
    """All that is wrong, as sentences for the operator; an empty list means that the wall stands."""
    drift = [f"{step.table}: {step.reason}" for step in plan(connections[using])]
    return role_findings(using) + model_findings() + drift


def refuse_unless_safe(using: str = "default") -> None:
    """Raise UnsafeDatabase unless the wall stands. Web and worker call it before they take work."""
    found = findings(using)
    if found:
        raise UnsafeDatabase("The database is not safe to serve tenants from:\n- " + "\n- ".join(found))
