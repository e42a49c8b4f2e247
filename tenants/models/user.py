"""People, and what is known of their sign-ins."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import NotAllowed
from core.text import is_one_line


def validate_name(text: str) -> None:
    """Refuse line breaks, direction marks and other control characters. Raises ValidationError."""
    if not is_one_line(text):
        raise ValidationError(
            _("Enter a name without line breaks and other invisible characters."), "bad_name"
        )


class UnprovenMailbox(NotAllowed):
    """The account was made through a link that others had seen, so it may be someone else's."""

    def __init__(self) -> None:
        message = _(
            "This account was made through a link that others had seen, so it can't get these "
            "rights. Send the person an invitation by e-mail, or have them reset their password by "
            "e-mail, or have an operator set a new one."
        )
        super().__init__("mailbox_unproven", message)


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
    """A person, who signs in with an e-mail address. `is_staff` marks operators."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True, validators=[validate_name])
    language = models.CharField(_("language"), max_length=12, blank=True)
    theme = models.CharField(_("theme"), max_length=8, blank=True)
    # A name in the IANA database; "" means the server's time zone.
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    # When the password was set through an invitation link that others had seen. Cleared by the
    # next change of password.
    password_by_link = models.DateTimeField(
        _("password set through a link"), null=True, blank=True, editable=False
    )
    # When the account was made through such a link, until its person proves to own the mailbox.
    # A change of password doesn't clear it: whoever passed on the link may have made the account.
    made_by_link = models.DateTimeField(
        _("made through a link"), null=True, blank=True, editable=False
    )
    # A password made for the person works until then; cleared when they choose their own.
    first_password_until = models.DateTimeField(
        _("first password valid until"), null=True, blank=True, editable=False
    )
    # Part of the session hash: incrementing it ends all sessions that aren't updated.
    session_epoch = models.PositiveIntegerField(default=0, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    # Values of tenants.auth.permissions.OperatorRole; without effect unless is_staff.
    operator_roles = models.JSONField(_("operator's roles"), default=list, blank=True)
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

    @property
    def first_password_expired(self) -> bool:
        return self.first_password_until is not None and self.first_password_until <= timezone.now()

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.password_by_link = self.first_password_until = None

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()  # as people are looked up at sign-in
        if (self.is_staff or self.is_superuser) and self.made_by_link is not None:
            raise ValidationError(UnprovenMailbox().message, "mailbox_unproven")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, unless it makes an operator of an account whose mailbox is unproven.

        Raises:
            UnprovenMailbox: Whoever made the account would get the rights.
        """
        fields = kwargs.get("update_fields")
        gives_rights = fields is None or {"is_staff", "is_superuser"} & set(fields)
        if gives_rights and (self.is_staff or self.is_superuser) and self.made_by_link is not None:
            raise UnprovenMailbox
        super().save(*args, **kwargs)

    def get_session_auth_hash(self) -> str:
        auth_hash: str = super().get_session_auth_hash()
        return f"{auth_hash}.{self.session_epoch}" if self.session_epoch else auth_hash


class SignInFailures(models.Model):
    """Count of failed sign-ins; `key` is a hash of account, address or both (auth/throttle.py)."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:12]


class KnownAddress(models.Model):
    """An address that an account has signed in from; `key` is a hash of both (auth/throttle.py)."""

    key = models.CharField(max_length=64, unique=True)
    seen = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:12]
