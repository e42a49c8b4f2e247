"""A call record that comes late notes its hour, in the transaction that writes it: its sums may have been made already.

Late is an hour; sums are made of hours that ended two hours ago (quotas/usage/rollups.py). The condition is part of the trigger, so that
an ordinary record pays for one comparison. Whoever writes records cannot forget it, because nobody has to think of it.
"""

from django.db import migrations

CREATE = {
    "sqlite": [
        """
        CREATE TRIGGER call_record_late AFTER INSERT ON quotas_callrecord
        WHEN NEW.time < strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour')
        BEGIN INSERT INTO quotas_stalehour (tenant_id, start) VALUES (NEW.tenant_id, substr(NEW.time, 1, 13) || ':00:00'); END
        """,
    ],
    "postgresql": [
        """
        CREATE FUNCTION call_record_note_late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO quotas_stalehour (tenant_id, start) VALUES (NEW.tenant_id, date_trunc('hour', NEW.time, 'UTC'));
            RETURN NULL;
        END $$
        """,
        """
        CREATE TRIGGER call_record_late AFTER INSERT ON quotas_callrecord
        FOR EACH ROW WHEN (NEW.time < clock_timestamp() - interval '1 hour') EXECUTE FUNCTION call_record_note_late()
        """,
    ],
}
DROP = {
    "sqlite": ["DROP TRIGGER call_record_late"],
    "postgresql": ["DROP TRIGGER call_record_late ON quotas_callrecord", "DROP FUNCTION call_record_note_late()"],
}


def create(apps, schema_editor):
    for statement in CREATE[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


def drop(apps, schema_editor):
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("quotas", "0004_sums_of_usage")]
    operations = [migrations.RunPython(create, drop)]
