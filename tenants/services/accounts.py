"""Accounts of people: creation, password, sessions, deactivation."""

from __future__ import annotations

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
    """Sign-in and the person's app keys refuse from the next request on. False where they did
    already.
    """
    return _set_active(user, False, actor, "member.deactivated")


def reactivate(*, user: User, actor: Actor) -> bool:
    """The person may sign in again, with the roles of before. False where that was so already."""
    return _set_active(user, True, actor, "member.reactivated")


@transaction.atomic
def _set_active(user: User, active: bool, actor: Actor, action: str) -> bool:
    if not User.objects.filter(pk=user.pk).exclude(is_active=active).update(is_active=active):
        return False
    user.is_active = active
    # Operators call this, who see every workspace; each of them is told in its own audit log.
    for member in Membership.objects.filter(user=user).select_related("tenant"):
        with tenant_scope(member.tenant):
            bump_version(member.tenant_id)
            record(
                tenant=member.tenant,
                actor=actor,
                action=action,
                object_type="member",
                object_id=member.pk,
                object_label=user.email,
            )
    return True


# ------------------------------------------------------------------------------------------- people


def make_user(*, email: str, password: str | None, name: str = "") -> User:
    """A new account. Raises Conflict where the address has one, ServiceError for an address that is
    none.
    """
    email = checked_email(email)
    if User.objects.filter(email=email).exists():
        raise Conflict(
            "name_taken", _("There is an account with this e-mail address already."), field="email"
        )
    return User.objects.create_user(email, password, name=name.strip()[:120])


def change_password(*, user: User, password: str) -> None:
    """The person's other sessions end with it, and so does the mark of a password that was set
    through a link.
    """
    user.set_password(password)
    user.save(update_fields=["password", "password_by_link"])


def sign_out_elsewhere(*, user: User) -> None:
    """End every session of a person; the caller signs the present one anew
    (update_session_auth_hash).
    """
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])
