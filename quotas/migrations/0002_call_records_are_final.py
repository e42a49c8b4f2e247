"""The database itself refuses to change or delete a call record.

Nothing in the product switches this off. Tests that empty tables drop the triggers around it (tests/quotas/triggers.py).
"""

from django.db import migrations

CREATE = {
    "sqlite": [
        """
        CREATE TRIGGER call_record_no_update BEFORE UPDATE ON quotas_callrecord
        BEGIN SELECT RAISE(ABORT, 'call records are final: they are never changed'); END
        """,
        """
        CREATE TRIGGER call_record_no_delete BEFORE DELETE ON quotas_callrecord
        BEGIN SELECT RAISE(ABORT, 'call records are final: they are never deleted'); END
        """,
    ],
    "postgresql": [
        """
        CREATE FUNCTION call_record_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION USING MESSAGE = 'call records are final: ' || TG_OP || ' is refused', ERRCODE = 'integrity_constraint_violation';
        END $$
        """,
        """
        CREATE TRIGGER call_record_no_change BEFORE UPDATE OR DELETE ON quotas_callrecord
        FOR EACH ROW EXECUTE FUNCTION call_record_refuse()
        """,
        """
        CREATE TRIGGER call_record_no_truncate BEFORE TRUNCATE ON quotas_callrecord
        FOR EACH STATEMENT EXECUTE FUNCTION call_record_refuse()
        """,
    ],
}
DROP = {
    "sqlite": ["DROP TRIGGER call_record_no_update", "DROP TRIGGER call_record_no_delete"],
    "postgresql": [
        "DROP TRIGGER call_record_no_change ON quotas_callrecord",
        "DROP TRIGGER call_record_no_truncate ON quotas_callrecord",
        "DROP FUNCTION call_record_refuse()",
    ],
}


def create(apps, schema_editor):
    for statement in CREATE[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def drop(apps, schema_editor):
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
