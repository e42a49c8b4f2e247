"""The index of call records by request, which 0004 once built while it locked the table."""

from django.db import migrations, models

from core.db.indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("quotas", "0009_images_of_a_call")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                AddIndexConcurrently("callrecord", models.Index(fields=["request_id"], name="call_request")),
            ],
        ),
    ]
