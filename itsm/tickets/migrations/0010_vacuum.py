from django.db import migrations


class Migration(migrations.Migration):
    """Lists and counts read indexes alone only where the rows were vacuumed: after one change in fifty, not in five."""

    dependencies = [("tickets", "0009_major")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE tickets_ticket SET"
            " (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02)",
            "ALTER TABLE tickets_ticket RESET"
            " (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor)",
        ),
    ]
