"""Rollups add up images. Hours of models that made some are marked as stale, so that the server's
timer sums them again; until then, readers take them from the records.
"""

from django.db import migrations, models

from core.db.columns import AddUncheckedField

NOTE = """
INSERT INTO quotas_stalehour (tenant_id, start)
SELECT DISTINCT rollup.tenant_id, rollup.start
FROM quotas_usagerollup AS rollup
JOIN (SELECT DISTINCT tenant_id, provider, model FROM quotas_callrecord WHERE images > 0) AS made
  ON made.tenant_id = rollup.tenant_id AND made.provider = rollup.provider AND made.model = rollup.model
WHERE rollup.span = 1
"""


def note(apps, schema_editor):
    schema_editor.execute(NOTE)


class Migration(migrations.Migration):
    dependencies = [("quotas", "0010_call_request_without_a_lock")]
    operations = [
        AddUncheckedField("usagerollup", "images", models.PositiveBigIntegerField(db_default=0)),
        migrations.RunPython(note, migrations.RunPython.noop),
    ]
