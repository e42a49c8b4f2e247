"""Hours whose sums hold more than any call may report are summed again, with bounded figures.

Call records are final, so the bounds are applied where they are summed (quotas/usage/columns.py). Sums made before that are marked as
stale; the server's timer sums them again.
"""

from django.db import migrations

MOST_TOKENS = 2**40
MOST_COST_STEPS = 10**18

NOTE = f"""
INSERT INTO quotas_stalehour (tenant_id, start)
SELECT DISTINCT tenant_id, start FROM quotas_usagerollup
WHERE span = 1 AND (prompt_tokens > {MOST_TOKENS} OR completion_tokens > {MOST_TOKENS} OR cost_steps > {MOST_COST_STEPS})
"""


def note(apps, schema_editor):
    schema_editor.execute(NOTE)


class Migration(migrations.Migration):
    dependencies = [("quotas", "0006_latest_call_of_a_model")]
    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
