"""Add, change and remove members of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, NotAllowed, NotFound
from tenants.audit.trail import Actor, record
from tenants.auth.permissions import Role, can_change_role
from tenants.config_version import bump_version
from tenants.limits.rates import checked_rates
from tenants.models import Membership, Tenant, User


@transaction.atomic
def add_member(*, tenant: Tenant, user: User, role: Role, actor: Actor) -> Membership:
    """Make a person a member without an invitation, for commands and operators.

    Raises:
        NotAllowed: If the role is higher than the actor's.
        Conflict: If the person is already a member.
    """
    check_may_assign(actor, role)
    if Membership.objects.filter(tenant=tenant, user=user).exists():
        raise Conflict("already_member", _("This person is already a member."), field="email")
    member: Membership = Membership.objects.create(tenant=tenant, user=user, role=role)
    _record_member(tenant, actor, "member.added", member)
    return member


@transaction.atomic
def change_role(*, tenant: Tenant, membership_id: int, role: Role, actor: Actor) -> Membership:
    """Change a member's role.

    Raises:
        NotFound: If there is no such member.
        NotAllowed: If the old or the new role is higher than the actor's.
        Conflict: If the member is the last owner.
    """
    member = _member_for_change(tenant, membership_id)
    before = Role(member.role)
    if actor.role is None or not can_change_role(actor=actor.role, current=before, new=role):
        raise NotAllowed(
            "role_too_high",
            _("You can't assign or remove a role higher than your own. Ask an owner."),
        )
    _check_key_covers(actor, role)
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
def set_member_rates(
    *, tenant: Tenant, membership_id: int, rates: Mapping[str, Any], actor: Actor
) -> Membership:
    """Limit how fast a member's own calls and app keys may call models, from the next one on.

    Args:
        rates: By the names in tenants.limits.rates; None means no limit.

    Raises:
        ServiceError: If a rate is out of range.
        NotFound: If there is no such member.
        NotAllowed: If the member's role is higher than the actor's.
    """
    member = _member_for_change(tenant, membership_id)
    role = Role(member.role)
    if actor.role is None or not can_change_role(actor=actor.role, current=role, new=role):
        raise NotAllowed(
            "role_too_high",
            _("You can't limit a member whose role is higher than yours. Ask an owner."),
        )
    before, member.rates = member.rates, checked_rates(rates)
    if member.rates != before:
        member.save(update_fields=["rates"])
        _record_member(tenant, actor, "member.rates_changed", member, rates=member.rates or "none")
    return member


@transaction.atomic
def remove_member(*, tenant: Tenant, membership_id: int, actor: Actor) -> None:
    """Remove a member; the person's app keys stop working.

    Raises:
        NotFound: If there is no such member.
        NotAllowed: If the member's role is higher than the actor's.
        Conflict: If the member is the last owner.
    """
    member = _member_for_change(tenant, membership_id)
    role = Role(member.role)
    is_leaving = actor.principal is None and actor.user_id == member.user_id
    if not is_leaving and (
        actor.role is None or not can_change_role(actor=actor.role, current=role, new=role)
    ):
        raise NotAllowed(
            "role_too_high",
            _("You can't remove a member whose role is higher than yours. Ask an owner."),
        )
    if role is Role.OWNER:
        _keep_an_owner(tenant, member)
    _record_member(tenant, actor, "member.left" if is_leaving else "member.removed", member)
    member.delete()
    bump_version(tenant.pk)


def leave_workspace(*, tenant: Tenant, user: User, actor: Actor) -> None:
    """Remove the actor's own membership.

    Raises:
        NotFound: If the person is not a member.
        Conflict: If the person is the last owner.
    """
    member = Membership.objects.filter(tenant=tenant, user=user).first()
    if member is None:
        raise NotFound("no_such_member", _("This person is not a member of this workspace."))
    remove_member(tenant=tenant, membership_id=member.pk, actor=actor)


def check_may_assign(actor: Actor, role: Role) -> None:
    """Raise NotAllowed if the role is higher than the actor's, or wider than an acting app key."""
    if actor.role is None or not can_change_role(actor=actor.role, current=role, new=role):
        raise NotAllowed(
            "role_too_high",
            _("You can't assign a role higher than your own. Ask an owner."),
            field="role",
        )
    _check_key_covers(actor, role)


def _check_key_covers(actor: Actor, role: Role) -> None:
    if actor.principal is not None and not actor.principal.may_grant(role):
        raise NotAllowed(
            "role_too_high",
            _(
                "A member with this role could do more than this app key, or for longer. Use a "
                "key without limits or an expiry date, or ask an admin."
            ),
            field="role",
        )


def _member_for_change(tenant: Tenant, membership_id: int) -> Membership:
    # Lock the workspace first, so that two owners can't both leave at the same moment.
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    member: Membership | None = (
        Membership.objects.select_related("user").filter(tenant=tenant, pk=membership_id).first()
    )
    if member is None:
        raise NotFound("no_such_member", _("This person is not a member of this workspace."))
    return member


def _keep_an_owner(tenant: Tenant, member: Membership) -> None:
    others = Membership.objects.filter(
        tenant=tenant, role=Role.OWNER, user__is_active=True
    ).exclude(pk=member.pk)
    if not others.exists():
        raise Conflict(
            "last_owner",
            _("A workspace needs an owner. Make someone else owner first."),
            field="role",
        )


def _record_member(
    tenant: Tenant, actor: Actor, action: str, member: Membership, **details: Any
) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="member",
        object_id=member.user_id,
        object_label=member.user.email,
        details={"role": member.role, **details},
    )
