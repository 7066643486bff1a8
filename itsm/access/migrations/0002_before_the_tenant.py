"""The two narrow functions that answer before any tenant is known."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from itsm.tenancy.sql import definer_function


class Migration(migrations.Migration):
    dependencies: ClassVar = [("access", "0001_initial")]

    operations: ClassVar = [
        definer_function(
            "itsm_tenant_of_token(hash bytea)",
            "SELECT t.tenant_id FROM access_apitoken t WHERE t.secret_hash = hash AND t.revoked_at IS NULL LIMIT 1",
            returns="uuid",
        ),
        definer_function(
            "itsm_tenants_of_user(who uuid)",
            """
            SELECT t.id, t.slug::text, t.name::text FROM tenancy_membership m
            JOIN tenancy_tenant t ON t.id = m.tenant_id AND t.is_active
            JOIN tenancy_person p ON p.tenant_id = m.tenant_id AND p.id = m.person_id AND p.is_active
            WHERE m.user_id = who AND m.is_active AND (m.valid_until IS NULL OR m.valid_until > statement_timestamp())
            """,
            returns="TABLE (tenant_id uuid, slug text, name text)",
        ),
        # Looked up by hash alone, before the tenant is known; every other index starts with the tenant.
        migrations.RunSQL(
            "CREATE INDEX access_apitoken_hash ON access_apitoken (secret_hash)",
            "DROP INDEX access_apitoken_hash",
        ),
        migrations.RunSQL(
            "CREATE INDEX tenancy_membership_user ON tenancy_membership (user_id)",
            "DROP INDEX tenancy_membership_user",
        ),
    ]
