"""Which price gave a call's cost; older releases go on without it."""

from django.db import migrations, models

from core.db.columns import AddUncheckedField


class Migration(migrations.Migration):

    dependencies = [
        ('quotas', '0015_why_a_call_failed'),
    ]

    operations = [
        AddUncheckedField(
            model_name='callrecord',
            name='price_version',
            field=models.CharField(blank=True, max_length=16, null=True),
        ),
    ]
