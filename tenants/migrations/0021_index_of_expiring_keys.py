"""The index of operators' filter for app keys that expire soon."""

from django.db import migrations, models

from core.db.indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tenants", "0020_indexes_of_operators")]
    operations = [
        AddIndexConcurrently(
            "appkey",
            models.Index(
                fields=["expires"],
                condition=models.Q(revoked=None, expires__isnull=False),
                name="app_key_expiring",
            ),
        ),
    ]
