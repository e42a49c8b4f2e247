"""An index of the calls that did not succeed, which operators filter by."""

from django.db import migrations, models

from core.db.indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("quotas", "0013_prune_calls")]
    operations = [
        AddIndexConcurrently(
            "callrecord",
            models.Index(fields=["status", "-id"], condition=~models.Q(status="ok"), name="call_not_ok"),
        ),
    ]
