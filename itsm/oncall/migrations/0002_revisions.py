from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('oncall', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='oncallschedule',
            name='revision',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
    ]
