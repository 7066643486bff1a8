"""The desk's time zone and language are no matter of tickets: they move to the tenant's settings."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0006_waiting"), ("tenancy", "0004_settings")]

    operations: ClassVar = [
        migrations.RunSQL(
            "INSERT INTO tenancy_tenantsettings (id, tenant_id, time_zone, language) "
            "SELECT gen_random_uuid(), tenant_id, time_zone, language FROM tickets_desksettings",
            "DELETE FROM tenancy_tenantsettings",
        ),
        migrations.RemoveField("desksettings", "time_zone"),
        migrations.RemoveField("desksettings", "language"),
    ]
