"""Note which accounts were made through a link."""

from django.db import migrations
from django.db.models import F


def note(apps, schema_editor):
    users = apps.get_model("tenants", "User").objects.using(schema_editor.connection.alias)
    users.filter(password_by_link__isnull=False, is_staff=False, is_superuser=False).update(
        made_by_link=F("password_by_link")
    )


def keep(apps, schema_editor):
    """Leave nothing to do: the column goes next."""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_made_by_link")]
    operations = [migrations.RunPython(note, keep)]
