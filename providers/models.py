"""Tenants' credentials at providers, and their choices per provider."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.ids import uuid7
from providers.failures.detail import FailureDetail
from tenants.models import TenantOwned, User

NAME_LENGTH = 80  # characters
STORED_ID_LENGTH = 200


class CredentialState(models.TextChoices):
    UNCHECKED = "unchecked", _("Not checked")
    CONNECTED = "connected", _("Connected")
    REJECTED = "rejected", _("Key rejected")
    NO_FUNDS = "no_funds", _("Out of funds")
    UNREACHABLE = "unreachable", _("Unreachable")
    WRONG_URL = "wrong_url", _("Wrong address")
    NOT_ALLOWED = "not_allowed", _("Not allowed")
    COOLING = "cooling", _("Resting")
    UNREADABLE = "unreadable", _("Cannot be read")


class ProviderCredential(TenantOwned):
    """A named set of a provider's keys, with all secrets in one sealed envelope.

    Only `mask` is ever shown of the secrets.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    # Normalised; empty for the provider's own.
    base_url = models.CharField(_("base URL"), max_length=300, blank=True)
    # The non-secret fields.
    values = models.JSONField(default=dict, blank=True, editable=False)
    # A tenants.crypto.keys token; empty without secrets.
    sealed = models.TextField(blank=True, editable=False)
    # Part of the encryption context; grows each time the secrets are replaced.
    version = models.PositiveIntegerField(default=1, editable=False)
    mask = models.CharField(_("key"), max_length=40, blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=False)
    position = models.PositiveIntegerField(default=0)  # among the standby credentials
    state = models.CharField(
        _("state"), max_length=12, choices=CredentialState, default=CredentialState.UNCHECKED
    )
    state_since = models.DateTimeField(_("since"), default=timezone.now)
    state_detail = models.JSONField(default=dict, blank=True, editable=False)  # of a FailureDetail
    resting_until = models.DateTimeField(null=True, blank=True, editable=False)
    checked = models.DateTimeField(_("last check"), null=True, blank=True, editable=False)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ("provider", "-is_active", "position", "created")
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "provider", "name"), name="credential_name_once"
            ),
            models.UniqueConstraint(
                fields=("tenant", "provider"),
                condition=models.Q(is_active=True),
                name="credential_one_active",
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"

    @property
    def failure(self) -> FailureDetail:
        """The last failure; empty while the credential works."""
        return FailureDetail.from_json(self.state_detail)

    @property
    def failure_words(self) -> str:
        """The last failure as text in the reader's language."""
        return self.failure.describe(gettext)


class Stored(TenantOwned):
    """What a provider keeps for a workspace, in its credential's account or a trial's: the
    operator's. Its provider's id is never shown to anyone.

    What a batch calls stands in `path`, as it is here, and `model_names`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # sorts by time
    credential = models.ForeignKey(
        ProviderCredential,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("credential"),
        related_name="+",
    )
    # Of the trial, instead of a credential. No foreign key: plans belong to an app beside this one.
    plan_id = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    provider_id = models.CharField(max_length=STORED_ID_LENGTH)
    path = models.CharField(max_length=40, blank=True)
    model_names = models.JSONField(_("models"), default=list, blank=True)
    # No foreign keys: it outlives the app key and its owner.
    app_key_id = models.UUIDField(null=True, blank=True)
    app_key_name = models.CharField(_("app key"), max_length=80, blank=True)
    user_id = models.PositiveBigIntegerField(null=True, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        abstract = True


def _in_one_account(name: str) -> tuple[models.BaseConstraint, ...]:
    """Return the constraints of what is kept in an account, and there under one id.

    All workspaces on a trial share an account: an id there belongs to one of them.
    """
    is_own = models.Q(credential__isnull=False, plan_id=None)
    is_trial = models.Q(credential=None, plan_id__isnull=False)
    return (
        models.UniqueConstraint(
            fields=("tenant", "credential", "provider_id"), name=f"{name}_once"
        ),
        models.UniqueConstraint(fields=("plan_id", "provider_id"), name=f"{name}_once_on_trial"),
        models.CheckConstraint(condition=is_own | is_trial, name=f"{name}_in_one_account"),
    )


class StoredFile(Stored):
    """A file at a provider: uploaded here, or written by a batch.

    Attributes:
        line_counts: How many of its lines call each model, if they are requests.
    """

    line_counts = models.JSONField(null=True, blank=True, editable=False)
    purpose = models.CharField(_("purpose"), max_length=40)
    filename = models.CharField(_("file name"), max_length=255)
    size = models.PositiveBigIntegerField(_("bytes"), default=0)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        constraints = _in_one_account("stored_file")
        indexes = (models.Index(fields=("tenant", "-id"), name="stored_file_newest"),)

    def __str__(self) -> str:
        return self.filename


class StoredBatch(Stored):
    """A batch at a provider, and whether what it used is recorded.

    Attributes:
        holds: What is held for each model's lines on a trial: {model: {id, lines, credits}}.
        answer: The provider's last word on it.
        checked: When the provider was last asked by the server itself.
        record_id: Of its first call record; set before any is written.
        recorded: When all were written.
    """

    holds = models.JSONField(null=True, blank=True, editable=False)
    input_id = models.CharField(max_length=STORED_ID_LENGTH)
    answer = models.JSONField(default=dict, blank=True)
    status = models.CharField(_("status"), max_length=20, blank=True)
    request_id = models.CharField(_("request"), max_length=64)
    checked = models.DateTimeField(default=timezone.now)
    record_id = models.UUIDField(null=True, blank=True)
    recorded = models.DateTimeField(_("recorded"), null=True, blank=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        constraints = _in_one_account("stored_batch")
        indexes = (
            models.Index(fields=("tenant", "-id"), name="stored_batch_newest"),
            models.Index(
                fields=("checked",), condition=models.Q(recorded=None), name="stored_batch_open"
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider} {self.created:%Y-%m-%d %H:%M}"


class ProviderChoice(TenantOwned):
    """A tenant's choices for a provider, and the last fetch of its model list."""

    provider = models.CharField(max_length=40)
    trial_first = models.BooleanField(default=False)
    models_fetched = models.DateTimeField(null=True, blank=True)
    models_failure = models.JSONField(default=dict, blank=True)  # of a FailureDetail
    # Built-in models that were missing from the provider's last fetched list.
    models_missing = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("provider choice")
        verbose_name_plural = _("provider choices")
        constraints = (
            models.UniqueConstraint(fields=("tenant", "provider"), name="provider_choice_once"),
        )

    def __str__(self) -> str:
        return self.provider

    @property
    def list_failure(self) -> FailureDetail:
        """Why the last fetch of the model list failed; empty if it succeeded."""
        return FailureDetail.from_json(self.models_failure)
