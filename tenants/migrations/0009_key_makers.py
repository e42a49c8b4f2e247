import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_operator_roles")]

    operations = [
        migrations.AddField(
            model_name="appkey",
            name="made_by_key",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="made_keys",
                to="tenants.appkey",
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="made_by_key",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="invitations",
                to="tenants.appkey",
            ),
        ),
    ]
