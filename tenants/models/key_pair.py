"""Key pairs of workspaces, and the check value of each master key."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.crypto.fields import StrictEncryptedTextField
from tenants.managers import TenantManager
from tenants.models.workspace import TenantOwned


class KeyPairManager(TenantManager["KeyPair"]):
    """Defers the private key, so that it is loaded only when accessed."""

    def get_queryset(self) -> models.QuerySet[KeyPair]:
        return super().get_queryset().defer("private_sealed")


class KeyPair(TenantOwned):
    """A tenant's RSA key pair. The private key is encrypted twice; only tenants.crypto reads it."""

    class State(models.TextChoices):
        NEXT = "next", _("Next")
        CURRENT = "current", _("Current")
        RETIRED = "retired", _("Retired")

    kid = models.CharField(max_length=16, unique=True, editable=False)
    state = models.CharField(max_length=8, choices=State)
    public_pem = models.TextField(editable=False)
    # SHA-256 of the public key, DER.
    fingerprint = models.CharField(_("fingerprint"), max_length=64, editable=False)
    private_sealed: Any = StrictEncryptedTextField(editable=False)  # str; the package has no types
    # Wrapped with the public key; empty in a pair of an earlier release that has not sealed since.
    data_key = models.TextField(default="", db_default="", editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    retired = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[KeyPairManager] = KeyPairManager()

    class Meta:
        verbose_name = _("key pair")
        verbose_name_plural = _("key pairs")
        constraints = (
            models.UniqueConstraint(
                fields=("tenant",), condition=models.Q(state="current"), name="key_pair_one_current"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kid} ({self.get_state_display()})"


class KeyOpening(TenantOwned):
    """How often a sealed text was opened, by day and purpose; part of the audit trail."""

    day = models.DateField()
    purpose = models.CharField(max_length=24)  # call, check, import, rotate, verify
    subject = models.CharField(max_length=80)  # "credential:<id>", "plan:<slug>", "model:<id>"
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("key opening")
        verbose_name_plural = _("key openings")
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "day", "purpose", "subject"), name="key_opening_once"
            ),
        )


class MasterKeyCheck(models.Model):
    """A check value per master key, to detect a wrong key before anything is written.

    Each row also holds a copy of the installation's digest key (tenants.crypto.digest_key).
    """

    mkid = models.CharField(max_length=16, unique=True)
    check_value = models.CharField(max_length=64)
    # Sealed with this master key.
    digest_key = models.TextField(default="", db_default="", editable=False)
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.mkid
