"""Indexes of the operators' lists and searches."""

from django.db import migrations, models

from core.db.indexes import AddIndexConcurrently

INDEXES = (
    ("appkey", ["-created"], "app_key_newest"),
    ("appkey", ["prefix"], "app_key_prefix"),
    ("appkey", ["name"], "app_key_by_name"),
    ("auditentry", ["-time"], "audit_newest"),
    ("auditentry", ["actor", "-time"], "audit_actor_time"),
    ("auditentry", ["object_label", "-time"], "audit_object_time"),
)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tenants", "0019_data_keys")]
    operations = [
        AddIndexConcurrently(model, models.Index(fields=fields, name=name))
        for model, fields, name in INDEXES
    ]
