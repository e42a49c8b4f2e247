"""Create and deactivate accounts; change passwords; end sessions."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.models import Membership, User
from tenants.scope import tenant_scope
from tenants.services.invitations import checked_email, checked_name

# How long a generated password works before the person has to choose another.
FIRST_PASSWORD_LIFETIME: Final = timedelta(days=7)


def deactivate(*, user: User, actor: Actor) -> bool:
    """Block a person's sign-in and app keys from the next request on.

    Returns:
        False if the account was already inactive.
    """
    return _set_active(user, False, actor, "member.deactivated")


def reactivate(*, user: User, actor: Actor) -> bool:
    """Let a person sign in again with the same roles as before.

    Returns:
        False if the account was already active.
    """
    return _set_active(user, True, actor, "member.reactivated")


@transaction.atomic
def _set_active(user: User, active: bool, actor: Actor, action: str) -> bool:
    if not User.objects.filter(pk=user.pk).exclude(is_active=active).update(is_active=active):
        return False
    user.is_active = active
    for tenant_id in _record_everywhere(user, actor, action):
        bump_version(tenant_id)
    return True


def _record_everywhere(user: User, actor: Actor, action: str, **details: str) -> list[UUID]:
    """Record what an operator does to a person in each of the person's workspaces.

    Called in the scope of all tenants. Returns the workspaces' ids.
    """
    members = list(Membership.objects.filter(user=user).select_related("tenant"))
    for member in members:
        with tenant_scope(member.tenant):
            record(
                tenant=member.tenant,
                actor=actor,
                action=action,
                object_type="member",
                object_id=member.pk,
                object_label=user.email,
                details=details,
            )
    return [member.tenant_id for member in members]


def note_password_set(*, user: User, actor: Actor) -> None:
    """Record that an operator set or removed a person's password, in all their workspaces."""
    _record_everywhere(user, actor, "member.password_set")


def reset_password(*, user: User, password: str, actor: Actor) -> None:
    """Give an account the password that the owner of its mailbox chose; all its sessions end.

    Called in the scope of all tenants.
    """
    user.made_by_link = None
    user.set_password(password)
    user.save(
        update_fields=["password", "password_by_link", "made_by_link", "first_password_until"]
    )
    _record_everywhere(user, actor, "member.password_reset")


def note_email_changed(*, user: User, before: str, actor: Actor) -> None:
    """Record that an operator gave a person another address, in all their workspaces."""
    _record_everywhere(user, actor, "member.email_changed", before=before)


def make_user(
    *, email: str, password: str | None, name: str = "", is_first_password: bool = False
) -> User:
    """Create an account.

    Args:
        email: Its address.
        password: None for an account that can't sign in.
        name: Shown to others; may be empty.
        is_first_password: The password was generated, and must be changed within
            FIRST_PASSWORD_LIFETIME.

    Raises:
        Conflict: If the address has an account.
        ServiceError: If the address or name is invalid.
    """
    email = checked_email(email)
    if User.objects.filter(email=email).exists():
        raise Conflict(
            "name_taken", _("There is already an account with this e-mail address."), field="email"
        )
    user = User.objects.create_user(email, password, name=checked_name(name))
    if is_first_password:
        hand_out_password(user)
        user.save(update_fields=["first_password_until"])
    return user


def new_first_password(*, user: User) -> str:
    """Give an account a new generated password, which ends its sessions, and return it.

    The caller hands it to the person, so the account counts as theirs from now on.
    """
    password = secrets.token_urlsafe(15)
    user.set_password(password)
    hand_out_password(user)
    user.save(
        update_fields=["password", "password_by_link", "made_by_link", "first_password_until"]
    )
    return password


def hand_out_password(user: User) -> None:
    """Note, without saving, that the password was chosen for the person and handed over.

    It expires, and the account counts as the person's own.
    """
    user.made_by_link = None
    user.first_password_until = timezone.now() + FIRST_PASSWORD_LIFETIME


def change_password(*, user: User, password: str) -> None:
    """Change a password, which ends the person's other sessions and clears `password_by_link`."""
    user.set_password(password)
    user.save(update_fields=["password", "password_by_link", "first_password_until"])


def sign_out_elsewhere(*, user: User) -> None:
    """End all sessions of a person; the caller keeps its own with update_session_auth_hash."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])
