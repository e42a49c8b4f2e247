"""Create and deactivate accounts; change passwords; end sessions."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.models import Membership, User
from tenants.scope import tenant_scope
from tenants.services.invitations import checked_email


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


def note_email_changed(*, user: User, before: str, actor: Actor) -> None:
    """Record that an operator gave a person another address, in all their workspaces."""
    _record_everywhere(user, actor, "member.email_changed", before=before)


def make_user(*, email: str, password: str | None, name: str = "") -> User:
    """Create an account.

    Raises:
        Conflict: If the address has an account.
        ServiceError: If the address is invalid.
    """
    email = checked_email(email)
    if User.objects.filter(email=email).exists():
        raise Conflict(
            "name_taken", _("There is already an account with this e-mail address."), field="email"
        )
    return User.objects.create_user(email, password, name=name.strip()[:120])


def change_password(*, user: User, password: str) -> None:
    """Change a password, which ends the person's other sessions and clears `password_by_link`."""
    user.set_password(password)
    user.save(update_fields=["password", "password_by_link"])


def sign_out_elsewhere(*, user: User) -> None:
    """End all sessions of a person; the caller keeps its own with update_session_auth_hash."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])
