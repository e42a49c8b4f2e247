"""The limit of invitations by e-mail was counted from the audit trail: carry the last day over."""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone


def count(apps, schema_editor):
    alias = schema_editor.connection.alias
    sent = apps.get_model("tenants", "SentInvitation").objects.using(alias)
    entries = apps.get_model("tenants", "AuditEntry").objects.using(alias)
    today = entries.filter(
        action="member.invited",
        details__sent="e-mail",
        time__gt=timezone.now() - timedelta(days=1),
    )
    rows = today.values_list("tenant_id", "time")
    sent.bulk_create([sent.model(tenant_id=tenant_id, time=time) for tenant_id, time in rows])


def forget(apps, schema_editor):
    """Leave nothing to do: the audit trail still has them, and the table goes next."""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_sent_invitations")]
    operations = [migrations.RunPython(count, forget)]
