"""What pages and the REST API read of workspaces and people. Nothing here writes."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from tenants.models import AppKey, AuditEntry, Invitation, KeyPair, Membership, Tenant, User
from tenants.permissions import Action, Role, actions_of
from tenants.scope import all_tenants


def workspaces_of(user: User) -> list[Membership]:
    """The person's memberships with their workspaces, by name. Suspended ones are among them; their pages refuse."""
    with all_tenants():
        return list(
            Membership.objects.select_related("tenant").filter(user=user, tenant__is_system=False).order_by("tenant__name", "tenant__slug")
        )


def members(*, tenant: Tenant) -> QuerySet[Membership]:
    return Membership.objects.select_related("user").filter(tenant=tenant).order_by("user__email")


def open_invitations(*, tenant: Tenant) -> QuerySet[Invitation]:
    """Sent and not accepted, expired ones included: they can be withdrawn or sent anew."""
    return Invitation.objects.select_related("created_by").filter(tenant=tenant, accepted=None).order_by("-created")


def app_keys(*, tenant: Tenant, created_by: int | None = None) -> QuerySet[AppKey]:
    """Keys that are not revoked, newest first; of one person if `created_by` (a user's id) is given."""
    rows = AppKey.objects.select_related("created_by").filter(tenant=tenant, revoked=None)
    return rows.filter(created_by=created_by) if created_by is not None else rows


def audit_entries(*, tenant: Tenant, search: str = "", action: str = "") -> QuerySet[AuditEntry]:
    """Newest first. `search` is looked for in actor and object; `action` is the start of an action, such as "member."."""
    rows = AuditEntry.objects.filter(tenant=tenant)
    if search:
        rows = rows.filter(Q(actor__icontains=search) | Q(object_label__icontains=search))
    return rows.filter(action__startswith=action) if action else rows


def key_pair(*, tenant: Tenant) -> KeyPair | None:
    """The current pair, for its fingerprint and age; the private half stays in the database."""
    found: KeyPair | None = KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.CURRENT).first()
    return found


def people_who_can(*, tenant: Tenant, action: Action, limit: int = 3) -> list[str]:
    """Names of members who may do this, owners last: somebody to ask."""
    roles = [role.value for role in Role if action in actions_of(role)]
    rows: Any = Membership.objects.select_related("user").filter(tenant=tenant, role__in=roles, user__is_active=True).order_by("role", "pk")
    return [row.user.name or row.user.email for row in rows[:limit]]
