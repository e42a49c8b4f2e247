"""What a call used besides tokens and images, which older releases go on without."""

from django.db import migrations, models

from core.db.columns import AddUncheckedField


class Migration(migrations.Migration):

    dependencies = [
        ('quotas', '0011_sum_images'),
    ]

    operations = [
        AddUncheckedField(
            model_name='callrecord',
            name='quantities',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
