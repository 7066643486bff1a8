"""What holds for everybody who has chosen nothing else gets a row of its own; tickets.0007 brings what was in the desk's."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

import itsm.kernel.ids
import itsm.tenancy.context


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tenancy", "0003_names")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TenantSettings",
            fields=[
                (
                    "id",
                    models.UUIDField(default=itsm.kernel.ids.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("language", models.CharField(default="en", max_length=16)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        default=itsm.tenancy.context.current_tenant_id,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("tenant",), name="tenant_settings_single")],
            },
        ),
        migrations.AlterModelOptions(name="membership", options={"verbose_name_plural": "memberships"}),
        # The reconciler gives empty tables their key after migrating; this one will have rows by then.
        migrations.RunSQL(
            "ALTER TABLE tenancy_tenantsettings DROP CONSTRAINT tenancy_tenantsettings_pkey, "
            "ADD CONSTRAINT tenancy_tenantsettings_pkey PRIMARY KEY (tenant_id, id)",
            migrations.RunSQL.noop,
        ),
    ]
