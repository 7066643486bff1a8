"""An end keeps where its ticket stood, so that what is reported of a period stays true when the ticket moves on."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import itsm.tenancy.fields


class Migration(migrations.Migration):
    # An index that is built beside the running product cannot be built inside a transaction.
    atomic = False

    dependencies: ClassVar = [
        ('sla', '0003_revisions'),
        ('tenancy', '0004_settings'),
        ('tickets', '0007_settings_of_everybody'),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name='slaclockevent',
            name='organisation',
            field=itsm.tenancy.fields.TenantForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenancy.organisation'),
        ),
        migrations.AddField(
            model_name='slaclockevent',
            name='priority',
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='slaclockevent',
            name='service',
            field=itsm.tenancy.fields.TenantForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tickets.service'),
        ),
        migrations.AddField(
            model_name='slaclockevent',
            name='team',
            field=itsm.tenancy.fields.TenantForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tenancy.team'),
        ),
        AddIndexConcurrently(
            model_name='slaclockevent',
            index=models.Index(condition=models.Q(('operation__in', ['stop', 'cancel'])), fields=['tenant', 'at'], name='sla_clock_ended'),
        ),
        AddIndexConcurrently(
            model_name='slaclockevent',
            index=models.Index(condition=models.Q(('operation', 'reopen')), fields=['tenant', 'clock'], name='sla_clock_reopened'),
        ),
    ]
