from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quotas', '0008_plain_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='callrecord',
            name='images',
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
    ]
