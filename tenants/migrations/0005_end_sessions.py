"""Sessions are found by a hash of the cookie now: end those whose row has the cookie itself."""

from django.db import migrations


def end(apps, schema_editor):
    sessions = apps.get_model("sessions", "Session").objects.using(schema_editor.connection.alias)
    sessions.all().delete()


def again(apps, schema_editor):
    """Earlier releases find no hashed row by a cookie either, so everybody signs in again."""
    end(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("sessions", "0001_initial"), ("tenants", "0004_count_sent_invitations")]
    operations = [migrations.RunPython(end, again)]
