from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("providers", "0003_read_failure_sentences")]
    operations = [
        migrations.RemoveField("providercredential", "state_message"),
        migrations.RemoveField("providerchoice", "models_error"),
    ]
