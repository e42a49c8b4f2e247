"""The archives that an installation has written."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0021_index_of_expiring_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='Archive',
            fields=[
                ('number', models.PositiveIntegerField(primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=20, verbose_name='kind')),
                ('file', models.CharField(max_length=80, verbose_name='file')),
                ('rows', models.PositiveBigIntegerField(verbose_name='rows')),
                ('size', models.PositiveBigIntegerField(verbose_name='bytes')),
                ('sha256', models.CharField(max_length=64)),
                ('previous', models.CharField(blank=True, max_length=64)),
                ('made', models.DateTimeField(default=django.utils.timezone.now, verbose_name='made')),
                ('dropped', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'archive',
                'verbose_name_plural': 'archives',
            },
        ),
    ]
