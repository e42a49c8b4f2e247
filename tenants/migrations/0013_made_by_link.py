from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0012_mend_names")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="made_by_link",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="made through a link"
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="first_password_until",
            field=models.DateTimeField(
                blank=True, editable=False, null=True, verbose_name="first password valid until"
            ),
        ),
    ]
