"""What operators decide about a person's account, in all of the person's workspaces at once."""

from __future__ import annotations

from django.db import transaction

from tenants.audit import Actor, record
from tenants.models import Membership, User
from tenants.scope import tenant_scope
from tenants.versions import bump_version


def deactivate(*, user: User, actor: Actor) -> bool:
    """Sign-in and the person's app keys refuse from the next request on. False where they did already."""
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
            record(tenant=member.tenant, actor=actor, action=action, object_type="member", object_id=member.pk, object_label=user.email)
    return True
