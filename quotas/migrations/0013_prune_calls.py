"""Call records may be deleted once their workspace's hours are pruned: archived, and read from rollups alone.

The trigger looks that up in quotas_rolleduntil, so the database still deletes no other record.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

FINAL = import_module("quotas.migrations.0002_call_records_are_final").CREATE
CREATE = {
    "sqlite": [
        """
        CREATE TRIGGER call_record_no_update BEFORE UPDATE ON quotas_callrecord
        BEGIN SELECT RAISE(ABORT, 'call records are final: they are never changed'); END
        """,
        """
        CREATE TRIGGER call_record_no_delete BEFORE DELETE ON quotas_callrecord
        WHEN NOT EXISTS (
            SELECT 1 FROM quotas_rolleduntil AS rolled WHERE rolled.tenant_id = OLD.tenant_id AND rolled.pruned > OLD.time
        )
        BEGIN SELECT RAISE(ABORT, 'call records are final: only archived ones are deleted'); END
        """,
    ],
    "postgresql": [
        """
        CREATE OR REPLACE FUNCTION call_record_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF EXISTS (
                    SELECT 1 FROM quotas_rolleduntil AS rolled
                    WHERE rolled.tenant_id = OLD.tenant_id AND rolled.pruned > OLD.time
                ) THEN
                    RETURN OLD;
                END IF;
            END IF;
            RAISE EXCEPTION USING MESSAGE = 'call records are final: ' || TG_OP || ' is refused', ERRCODE = 'integrity_constraint_violation';
        END $$
        """,
    ],
}
DROP = {
    "sqlite": ["DROP TRIGGER call_record_no_update", "DROP TRIGGER call_record_no_delete"],
    "postgresql": [],
}


def create(apps, schema_editor):
    for statement in (*DROP[schema_editor.connection.vendor], *CREATE[schema_editor.connection.vendor]):
        schema_editor.execute(statement, params=None)


def restore(apps, schema_editor):
    """Restore the triggers of before: these name a column that is removed next, which SQLite refuses."""
    vendor = schema_editor.connection.vendor
    before = FINAL["sqlite"] if vendor == "sqlite" else [FINAL[vendor][0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")]
    for statement in (*DROP[vendor], *before):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("quotas", "0012_quantities_of_a_call"),
        ("tenants", "0022_archives"),
    ]

    operations = [
        migrations.AddField("rolleduntil", "pruned", models.DateTimeField(blank=True, null=True)),
        migrations.CreateModel(
            name="SealedCredits",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField()),
                ("calls", models.PositiveBigIntegerField(default=0)),
                ("credits", models.PositiveBigIntegerField(default=0)),
                (
                    "pool",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="quotas.creditpool"),
                ),
                (
                    "tenant",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant", verbose_name="workspace"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("tenant", "pool", "month"), name="sealed_credits_once")],
            },
        ),
        migrations.RunPython(create, restore),
    ]
