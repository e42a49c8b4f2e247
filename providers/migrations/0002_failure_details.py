from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0001_initial")]
    operations = [
        migrations.AddField("providercredential", "state_detail", models.JSONField(blank=True, default=dict, editable=False)),
        migrations.AddField("providerchoice", "models_failure", models.JSONField(blank=True, default=dict)),
    ]
