from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0018_installation_notes")]

    operations = [
        migrations.AddField(
            model_name="keypair",
            name="data_key",
            field=models.TextField(db_default="", default="", editable=False),
        ),
    ]
