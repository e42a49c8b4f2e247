from django.db import migrations, models

import tenants.models.user


class Migration(migrations.Migration):
    dependencies = [("tenants", "0010_known_addresses")]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="name",
            field=models.CharField(
                blank=True,
                max_length=120,
                validators=[tenants.models.user.validate_name],
                verbose_name="name",
            ),
        ),
    ]
