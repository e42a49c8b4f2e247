"""What happens to workspaces and their members. Invitations and app keys are in files of their own, named here as well."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from tenants import keys
from tenants.app_keys import create_app_key, revoke_app_key, revoke_app_key_as_operator, rotate_app_key
from tenants.audit import Actor, record
from tenants.errors import Conflict, NotAllowed, NotFound
from tenants.invitations import accept_invitation, checked_email, find_invitation, invite, revoke_invitation
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role, can_change_role
from tenants.scope import tenant_scope
from tenants.signals import workspace_created
from tenants.versions import bump_version
from tenants.workspace_settings import (
    SYSTEM_SLUG,
    checked_name,
    checked_slug,
    close_workspace,
    move_workspace,
    rename_workspace,
    resume_workspace,
    set_default_language,
    suspend_workspace,
)

__all__ = [
    "SYSTEM_SLUG",
    "accept_invitation",
    "add_member",
    "bump_version",
    "change_password",
    "change_role",
    "checked_slug",
    "close_workspace",
    "create_app_key",
    "create_workspace",
    "find_invitation",
    "invite",
    "leave_workspace",
    "make_user",
    "move_workspace",
    "remove_member",
    "rename_workspace",
    "resume_workspace",
    "revoke_app_key",
    "revoke_app_key_as_operator",
    "revoke_invitation",
    "rotate_app_key",
    "set_default_language",
    "sign_out_elsewhere",
    "suspend_workspace",
    "system_tenant",
]


# ---------------------------------------------------------------------------------------------------------- workspaces


@transaction.atomic
def create_workspace(*, slug: str, name: str, owner: User | None, actor: Actor) -> Tenant:
    """Make a workspace with its owner; its key pair follows after the commit, outside of the request.

    Raises ServiceError (slug) and Conflict (slug taken).
    """
    slug = checked_slug(slug)
    tenant = Tenant(slug=slug, name=checked_name(name or slug))
    tenant.save(force_insert=True)
    with tenant_scope(tenant):
        if owner is not None:
            Membership.objects.create(tenant=tenant, user=owner, role=Role.OWNER)
        record(tenant=tenant, actor=actor, action="workspace.created", object_type="workspace", object_id=tenant.pk, object_label=slug)
        workspace_created.send(sender=Tenant, tenant=tenant)
    keys.prepare_key_pair(tenant.pk)
    return tenant


def system_tenant() -> Tenant:
    """The operators' own row, whose key pair seals the credentials of trial plans. Made when first asked for."""
    values: dict[str, Any] = {"name": "Operator", "is_system": True}
    return Tenant.objects.get_or_create(slug=SYSTEM_SLUG, defaults=values)[0]


# -------------------------------------------------------------------------------------------------------------- people


def make_user(*, email: str, password: str | None, name: str = "") -> User:
    """A new account. Raises Conflict where the address has one, ServiceError for an address that is none."""
    email = checked_email(email)
    if User.objects.filter(email=email).exists():
        raise Conflict("email_taken", _("There is an account with this e-mail address already."), field="email")
    return User.objects.create_user(email, password, name=name.strip()[:120])


def change_password(*, user: User, password: str) -> None:
    """The person's other sessions end with it, and so does the mark of a password that was set through a link."""
    user.set_password(password)
    user.save(update_fields=["password", "password_by_link"])


def sign_out_elsewhere(*, user: User) -> None:
    """End every session of a person; the caller signs the present one anew (update_session_auth_hash)."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])


@transaction.atomic
def add_member(*, tenant: Tenant, user: User, role: Role, actor: Actor) -> Membership:
    """Make a person a member without an invitation (commands, operators). Raises Conflict for a member."""
    _check_may_give(actor, role)
    if Membership.objects.filter(tenant=tenant, user=user).exists():
        raise Conflict("already_member", _("This person is a member already."), field="email")
    member: Membership = Membership.objects.create(tenant=tenant, user=user, role=role)
    _record_member(tenant, actor, "member.added", member)
    return member


@transaction.atomic
def change_role(*, tenant: Tenant, membership_id: int, role: Role, actor: Actor) -> Membership:
    """Raises NotFound, NotAllowed (a role above the own one), Conflict (the last owner)."""
    member = _member_for_change(tenant, membership_id)
    before = Role(member.role)
    if actor.role is None or not can_change_role(actor=actor.role, current=before, new=role):
        raise NotAllowed("role_too_high", _("Nobody gives or takes a role above the own one. Ask an owner."))
    if before == role:
        return member
    if before is Role.OWNER:
        _keep_an_owner(tenant, member)
    member.role = role
    member.save(update_fields=["role"])
    bump_version(tenant.pk)
    _record_member(tenant, actor, "member.role_changed", member, before=before.value)
    return member


@transaction.atomic
def remove_member(*, tenant: Tenant, membership_id: int, actor: Actor) -> None:
    """The person's app keys stop with the membership. Raises NotFound, NotAllowed, Conflict (the last owner)."""
    member = _member_for_change(tenant, membership_id)
    role = Role(member.role)
    themselves = actor.principal is None and actor.user_id == member.user_id
    if not themselves and (actor.role is None or not can_change_role(actor=actor.role, current=role, new=role)):
        raise NotAllowed("role_too_high", _("Nobody removes a member with a role above the own one. Ask an owner."))
    if role is Role.OWNER:
        _keep_an_owner(tenant, member)
    _record_member(tenant, actor, "member.left" if themselves else "member.removed", member)
    member.delete()
    bump_version(tenant.pk)


def leave_workspace(*, tenant: Tenant, user: User, actor: Actor) -> None:
    """Raises NotFound for somebody who is no member, Conflict for the last owner."""
    member = Membership.objects.filter(tenant=tenant, user=user).first()
    if member is None:
        raise NotFound("no_such_member", _("This person is not a member of this workspace."))
    remove_member(tenant=tenant, membership_id=member.pk, actor=actor)


def _check_may_give(actor: Actor, role: Role) -> None:
    if actor.role is None or not can_change_role(actor=actor.role, current=role, new=role):
        raise NotAllowed("role_too_high", _("Nobody gives a role above the own one. Ask an owner."), field="role")


def _member_for_change(tenant: Tenant, membership_id: int) -> Membership:
    # The workspace's row is locked first: two owners who leave at the same moment take turns.
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    member: Membership | None = Membership.objects.select_related("user").filter(tenant=tenant, pk=membership_id).first()
    if member is None:
        raise NotFound("no_such_member", _("This person is not a member of this workspace."))
    return member


def _keep_an_owner(tenant: Tenant, member: Membership) -> None:
    others = Membership.objects.filter(tenant=tenant, role=Role.OWNER, user__is_active=True).exclude(pk=member.pk)
    if not others.exists():
        raise Conflict("last_owner", _("A workspace needs an owner. Make someone else owner first."), field="role")


def _record_member(tenant: Tenant, actor: Actor, action: str, member: Membership, **details: str) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="member",
        object_id=member.user_id,
        object_label=member.user.email,
        details={"role": member.role, **details},
    )
