"""What a provider said of a failed call. Releases before this go on without the columns."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('quotas', '0014_index_of_failed_calls'),
    ]

    operations = [
        migrations.AddField(
            model_name='callrecord',
            name='error_message',
            field=models.CharField(blank=True, max_length=500, null=True),
        ),
        migrations.AddField(
            model_name='callrecord',
            name='error_param',
            field=models.CharField(blank=True, max_length=100, null=True),
        ),
    ]
