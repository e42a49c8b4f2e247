"""What the installation notes about itself."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class InstallationNote(models.Model):
    """One fact of the whole installation, such as its last backup; tenants.installation has all."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.JSONField(default=dict)
    time = models.DateTimeField(_("time"), default=timezone.now)

    def __str__(self) -> str:
        return self.name
