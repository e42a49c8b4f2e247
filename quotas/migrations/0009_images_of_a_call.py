from django.db import migrations, models

from core.db.columns import AddUncheckedField


class Migration(migrations.Migration):

    dependencies = [
        ('quotas', '0008_plain_names'),
    ]

    operations = [
        AddUncheckedField(
            model_name='callrecord',
            name='images',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
    ]
