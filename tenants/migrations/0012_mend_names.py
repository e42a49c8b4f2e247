"""Mend people's names that hold line breaks and other control characters."""

from django.db import migrations


def mend(apps, schema_editor):
    users = apps.get_model("tenants", "User").objects.using(schema_editor.connection.alias)
    for user in users.exclude(name="").only("name").iterator():
        if not user.name.isprintable():
            users.filter(pk=user.pk).update(name=one_line(user.name))


def one_line(text):
    printable = (character if character.isprintable() else " " for character in text)
    return " ".join("".join(printable).split())


def keep(apps, schema_editor):
    """Leave nothing to do: the names are fine for earlier releases too."""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0011_names_of_one_line")]
    operations = [migrations.RunPython(mend, keep)]
