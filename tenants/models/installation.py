"""What the installation notes about itself, and the archives that it has written."""

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


class Archive(models.Model):
    """A file of rows that were too old to keep. tenants.archives writes and verifies them."""

    number = models.PositiveIntegerField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=20)  # of rows, such as "calls"
    file = models.CharField(_("file"), max_length=80)
    rows = models.PositiveBigIntegerField(_("rows"))
    size = models.PositiveBigIntegerField(_("bytes"))
    sha256 = models.CharField(max_length=64)
    previous = models.CharField(max_length=64, blank=True)  # sha256 of number - 1
    made = models.DateTimeField(_("made"), default=timezone.now)
    # when the last of its rows was deleted from the database
    dropped = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("archive")
        verbose_name_plural = _("archives")

    def __str__(self) -> str:
        return self.file
