"""The two trial plans of a new installation; off until the operator has entered a credential."""

from django.db import migrations

PLANS = (
    ("openai", "OpenAI", 500, ("gpt-3.5-turbo", "gpt-3.5-turbo-16k", "text-davinci-003")),
    ("anthropic", "Anthropic", 1000, ("claude-instant-1", "claude-2")),
)


def seed(apps, schema_editor):
    plans = apps.get_model("quotas", "TrialPlan").objects.using(schema_editor.connection.alias)
    models = apps.get_model("quotas", "TrialPlanModel").objects.using(schema_editor.connection.alias)
    for slug, label, limit, names in PLANS:
        plan, is_new = plans.get_or_create(slug=slug, defaults={"label": label, "provider": slug, "limit": limit})
        if is_new:
            models.bulk_create([models.model(plan=plan, model=name) for name in names])


def unseed(apps, schema_editor):
    """Plans that nobody switched on and no workspace has credits of."""
    plans = apps.get_model("quotas", "TrialPlan").objects.using(schema_editor.connection.alias)
    plans.filter(slug__in=[slug for slug, *_rest in PLANS], is_on=False, sealed="", pools=None).delete()


class Migration(migrations.Migration):
    dependencies = [("quotas", "0002_call_records_are_final")]
    operations = [migrations.RunPython(seed, unseed)]
