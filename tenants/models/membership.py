"""Memberships and invitations of a workspace."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.models.app_key import AppKey
from tenants.models.user import UnprovenMailbox, User
from tenants.models.workspace import TenantOwned


class Membership(TenantOwned):
    """A person's role in a workspace."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    role = models.CharField(
        _("role"), max_length=8, choices=[(role.value, role.value) for role in Role]
    )
    # How fast it may call models, by the names in tenants.limits.rates; None: no limit.
    rates = models.JSONField(_("rate limits"), null=True, default=None, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_active = models.DateTimeField(_("last active"), null=True, blank=True, editable=False)
    invited_by = models.ForeignKey(
        User,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("invited by"),
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = (models.UniqueConstraint(fields=("tenant", "user"), name="membership_once"),)

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, unless it makes an owner of an account whose mailbox is unproven.

        Raises:
            UnprovenMailbox: Whoever made the account would own the workspace.
        """
        fields = kwargs.get("update_fields")
        gives_role = fields is None or "role" in fields
        if gives_role and self.role == Role.OWNER and self.user.made_by_link is not None:
            raise UnprovenMailbox
        super().save(*args, **kwargs)

    @property
    def role_label(self) -> Any:
        return ROLE_LABELS[Role(self.role)]


class Invitation(TenantOwned):
    """An invitation by link. Only the token's hash is stored.

    The author sees the link unless it is sent by e-mail.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail address"))
    role = models.CharField(
        _("role"), max_length=8, choices=[(role.value, role.value) for role in Role]
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    # The app key that invited; revoking it withdraws the invitation.
    made_by_key = models.ForeignKey(
        AppKey, on_delete=models.SET_NULL, null=True, editable=False, related_name="invitations"
    )
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


class SentInvitation(TenantOwned):
    """An invitation sent by e-mail within the last day, counted against the daily limit."""

    time = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("sent invitation")
        verbose_name_plural = _("sent invitations")
        indexes = (models.Index(fields=("tenant", "time"), name="sent_invitation_time"),)

    def __str__(self) -> str:
        return str(self.time)
