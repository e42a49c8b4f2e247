"""Workspaces, their people, keys and audit trail; the base class of every tenant's table."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.fields import StrictEncryptedTextField
from tenants.managers import TenantManager
from tenants.permissions import ROLE_LABELS, SCOPE_SHORT, Role, Scope
from tenants.scope import EVERYONE, active_tenant
from tenants.wording import actor_label, details, object_label, sentence

EXPIRES_SOON = timedelta(days=14)  # an app key that ends within so long is pointed at


class ForeignTenant(RuntimeError):
    """A row of one tenant was to be saved while another one is active."""


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person; signs in with the e-mail address. `is_staff` makes an operator."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True)
    language = models.CharField(_("language"), max_length=12, blank=True)
    theme = models.CharField(_("theme"), max_length=8, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)  # a name of the IANA database; "" is the server's
    # When the password was chosen through an invitation's link, which others had seen before. Ends with the next password.
    password_by_link = models.DateTimeField(_("password set through a link"), null=True, blank=True, editable=False)
    # Part of what signs a session: one more ends all sessions but those that are told.
    session_epoch = models.PositiveIntegerField(default=0, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.email

    def get_short_name(self) -> str:
        return self.name or self.email.partition("@")[0]

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.password_by_link = None

    def get_session_auth_hash(self) -> str:
        known: str = super().get_session_auth_hash()
        return f"{known}.{self.session_epoch}" if self.session_epoch else known


class Tenant(models.Model):
    """A workspace. `config_version` grows with every change that the data plane caches."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("address"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=120)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.ACTIVE)
    # Of pages for people who chose none: those who are invited.
    default_language = models.CharField(_("default language"), max_length=12, blank=True)
    # The operators' own row: it holds the key pair that seals trial plans' credentials. Never listed, never entered.
    is_system = models.BooleanField(default=False, editable=False)
    config_version = models.PositiveBigIntegerField(default=1, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TenantOwned(models.Model):
    """Abstract base of every table that belongs to a tenant: own column, scoped manager, guarded writes."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, verbose_name=_("workspace"), related_name="+")

    objects = TenantManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_foreign_tenant()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._refuse_foreign_tenant()
        return super().delete(*args, **kwargs)

    def _refuse_foreign_tenant(self) -> None:
        active = active_tenant()
        if active is not EVERYONE and self.tenant_id != active:
            raise ForeignTenant(f"{type(self).__name__} of tenant {self.tenant_id} touched while {active} is active")


class FormerAddress(TenantOwned):
    """An address that a workspace had: it leads to the present one, and no other workspace gets it."""

    slug = models.SlugField(_("address"), max_length=50, primary_key=True)
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("former address")
        verbose_name_plural = _("former addresses")

    def __str__(self) -> str:
        return self.slug


class Membership(TenantOwned):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=8, choices=[(role.value, role.value) for role in Role])
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_active = models.DateTimeField(_("last active"), null=True, blank=True, editable=False)
    invited_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+", verbose_name=_("invited by")
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = (models.UniqueConstraint(fields=("tenant", "user"), name="membership_once"),)

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    @property
    def role_label(self) -> Any:
        return ROLE_LABELS[Role(self.role)]


class Invitation(TenantOwned):
    """An invitation by link; only the token's hash is stored. Who invites sees the link, unless it was sent by e-mail."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(_("role"), max_length=8, choices=[(role.value, role.value) for role in Role])
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(default=timezone.now, editable=False)
    expires = models.DateTimeField(_("expires"))
    accepted = models.DateTimeField(null=True, blank=True, editable=False)
    by_email = models.BooleanField(_("sent by e-mail"), default=False, editable=False)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email

    @property
    def role_label(self) -> Any:
        return ROLE_LABELS[Role(self.role)]

    @property
    def is_expired(self) -> bool:
        return self.expires <= timezone.now()


class AppKey(TenantOwned):
    """A token of ours for applications: shown once, stored as SHA-256 and a public prefix."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=20, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)  # list of tenants.permissions.Scope values
    allowed_providers = models.JSONField(_("allowed providers"), default=list, blank=True)  # slugs; empty means all
    allowed_models = models.JSONField(_("allowed models"), default=list, blank=True)  # "provider/model"; empty means all
    # Endpoints of /v1, such as "embeddings"; empty means all.
    allowed_operations = models.JSONField(_("allowed endpoints"), default=list, blank=True)
    # None: made by a command, no person's rights bound it. A person who is gone is another matter: see creator_gone.
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    made_by_command = models.BooleanField(default=False, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("app key")
        verbose_name_plural = _("app keys")
        ordering = ("-created",)
        constraints = (models.UniqueConstraint(fields=("tenant", "name"), condition=models.Q(revoked=None), name="app_key_name_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires is not None and self.expires <= timezone.now()

    @property
    def expires_soon(self) -> bool:
        return self.expires is not None and timezone.now() < self.expires <= timezone.now() + EXPIRES_SOON

    @property
    def uses(self) -> list[Any]:
        """What it may be used for, in words."""
        return [SCOPE_SHORT[scope] for scope in Scope if scope in self.scopes]

    @property
    def limits(self) -> list[str]:
        """All that the key is limited to: providers, models and endpoints in one list."""
        return [*self.allowed_providers, *self.allowed_models, *self.allowed_operations]


class KeyPairManager(TenantManager["KeyPair"]):
    """Leaves the private half in the database unless it is asked for by name."""

    def get_queryset(self) -> models.QuerySet[KeyPair]:
        return super().get_queryset().defer("private_sealed")


class KeyPair(TenantOwned):
    """A tenant's RSA key pair; the private half is sealed twice and read only by tenants.keys."""

    class State(models.TextChoices):
        NEXT = "next", _("Next")
        CURRENT = "current", _("Current")
        RETIRED = "retired", _("Retired")

    kid = models.CharField(max_length=16, unique=True, editable=False)
    state = models.CharField(max_length=8, choices=State)
    public_pem = models.TextField(editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=64, editable=False)  # SHA-256 of the public key, DER
    private_sealed: Any = StrictEncryptedTextField(editable=False)  # str; the package has no types
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    retired = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[KeyPairManager] = KeyPairManager()

    class Meta:
        verbose_name = _("key pair")
        verbose_name_plural = _("key pairs")
        constraints = (models.UniqueConstraint(fields=("tenant",), condition=models.Q(state="current"), name="key_pair_one_current"),)

    def __str__(self) -> str:
        return f"{self.kid} ({self.get_state_display()})"


class KeyOpening(TenantOwned):
    """How often a sealed value was opened, by day and purpose: part of the audit trail."""

    day = models.DateField()
    purpose = models.CharField(max_length=24)  # call, check, import, rotate, verify
    subject = models.CharField(max_length=80)  # "credential:<id>", "plan:<slug>", "model:<id>"
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("key opening")
        verbose_name_plural = _("key openings")
        constraints = (models.UniqueConstraint(fields=("tenant", "day", "purpose", "subject"), name="key_opening_once"),)


class AuditEntry(TenantOwned):
    """Who did what, when; never a secret. Written once, changed never."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    time = models.DateTimeField(_("time"), default=timezone.now, editable=False, db_index=True)
    actor = models.CharField(_("who"), max_length=160)  # an e-mail address, "app key <name>", "command", "system"
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(_("action"), max_length=48)  # "credential.added", "member.removed", ...
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    object_label = models.CharField(_("object"), max_length=160, blank=True)
    address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ("-time",)
        indexes = (models.Index(fields=("tenant", "-time"), name="audit_tenant_time"),)

    def __str__(self) -> str:
        return f"{self.sentence} {self.about}".strip()

    @property
    def sentence(self) -> Any:
        return sentence(self.action)

    @property
    def about(self) -> Any:
        return object_label(self)

    @property
    def who(self) -> Any:
        return actor_label(self.actor)

    @property
    def facts(self) -> list[tuple[Any, str]]:
        """(label, value) of what it holds beside its object."""
        return details(self)


class MasterKeyCheck(models.Model):
    """One known value per master key, so that a wrong one is noticed before anything is written."""

    mkid = models.CharField(max_length=16, unique=True)
    check_value = models.CharField(max_length=64)
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.mkid


class SignInFailures(models.Model):
    """Failed sign-ins within one window. `key` is a hash of account, address or both; tenants.throttle knows which."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:12]
