"""Create workspaces."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from tenants.audit.trail import Actor, record
from tenants.auth.permissions import Role
from tenants.models import Membership, Tenant, User
from tenants.scope import tenant_scope
from tenants.services import key_pairs
from tenants.services.settings import SYSTEM_SLUG, checked_name, checked_slug
from tenants.signals import workspace_created


@transaction.atomic
def create_workspace(*, slug: str, name: str, owner: User | None, actor: Actor) -> Tenant:
    """Create a workspace and its owner's membership. The key pair is made after the commit.

    Raises:
        ServiceError: If the address or name is malformed.
        Conflict: If the address is taken.
    """
    slug = checked_slug(slug)
    tenant = Tenant(slug=slug, name=checked_name(name or slug))
    tenant.save(force_insert=True)
    with tenant_scope(tenant):
        if owner is not None:
            Membership.objects.create(tenant=tenant, user=owner, role=Role.OWNER)
        record(
            tenant=tenant,
            actor=actor,
            action="workspace.created",
            object_type="workspace",
            object_id=tenant.pk,
            object_label=slug,
        )
        workspace_created.send(sender=Tenant, tenant=tenant)
    key_pairs.prepare(tenant.pk)
    return tenant


def system_tenant() -> Tenant:
    """Return the operators' own row, whose key pair seals the credentials of trial plans.

    It is created on first use.
    """
    values: dict[str, Any] = {"name": "Operator", "is_system": True}
    return Tenant.objects.get_or_create(slug=SYSTEM_SLUG, defaults=values)[0]
