"""The versions of a workspace's own price of a model."""

from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):

    dependencies = [
        ('models_catalog', '0002_catalog_snapshot'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenantmodel',
            name='prices',
            field=models.JSONField(blank=True, db_default=Value([], models.JSONField()), default=list, editable=False),
        ),
    ]
