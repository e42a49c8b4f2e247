"""A workspace may keep its calls for a shorter time than others do."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0023_rates'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='call_days',
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='days of calls'),
        ),
    ]
