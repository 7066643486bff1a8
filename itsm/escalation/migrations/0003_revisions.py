from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('escalation', '0002_figures'),
    ]

    operations = [
        migrations.AddField(
            model_name='escalationpolicy',
            name='revision',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
    ]
