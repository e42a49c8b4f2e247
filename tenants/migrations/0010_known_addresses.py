from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_key_makers")]

    operations = [
        migrations.CreateModel(
            name="KnownAddress",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("seen", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
