"""What pages and the REST API read of workspaces and people. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q, QuerySet

from tenants.auth.permissions import Action, Role, actions_of
from tenants.models import (
    AppKey,
    AuditEntry,
    FormerAddress,
    Invitation,
    KeyPair,
    Membership,
    Tenant,
    User,
)
from tenants.scope import all_tenants

BATCH = 1000  # rows that an export reads at once


def workspaces_of(user: User) -> list[Membership]:
    """The person's memberships with their workspaces, by name. Suspended ones are among them; their
    pages refuse.
    """
    with all_tenants():
        return list(
            Membership.objects.select_related("tenant")
            .filter(user=user, tenant__is_system=False)
            .order_by("tenant__name", "tenant__slug")
        )


def address_is_taken(slug: str, *, besides: Tenant | None = None) -> bool:
    """Whether a workspace has or had this address; those that `besides` had itself are free for it."""
    with all_tenants():
        had = FormerAddress.objects.filter(slug=slug)
        had = had.exclude(tenant=besides) if besides is not None else had
        return Tenant.objects.filter(slug=slug).exists() or had.exists()


def moved_to(slug: str, among: list[Membership]) -> Membership | None:
    """The one of a person's memberships whose workspace had this address."""
    with all_tenants():
        found = FormerAddress.objects.filter(slug=slug).values_list("tenant_id", flat=True).first()
    return next((member for member in among if member.tenant_id == found), None)


def members(*, tenant: Tenant) -> QuerySet[Membership]:
    return (
        Membership.objects.select_related("user", "invited_by")
        .filter(tenant=tenant)
        .order_by("user__email")
    )


def open_invitations(*, tenant: Tenant) -> QuerySet[Invitation]:
    """Sent and not accepted, expired ones included: they can be withdrawn or sent anew."""
    return (
        Invitation.objects.select_related("created_by")
        .filter(tenant=tenant, accepted=None)
        .order_by("-created")
    )


def app_keys(*, tenant: Tenant, created_by: int | None = None) -> QuerySet[AppKey]:
    """Keys that are not revoked, newest first; of one person if `created_by` (a user's id) is
    given.
    """
    rows = AppKey.objects.select_related("created_by").filter(tenant=tenant, revoked=None)
    return rows.filter(created_by=created_by) if created_by is not None else rows


def audit_entries(
    *,
    tenant: Tenant,
    search: str = "",
    action: str = "",
    actor: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Newest first. `search` is looked for in actor and object; `action` is the start of an action,
    such as "member.".
    """
    rows = AuditEntry.objects.filter(tenant=tenant)
    if search:
        rows = rows.filter(Q(actor__icontains=search) | Q(object_label__icontains=search))
    given = {"action__startswith": action, "actor": actor, "time__gte": since, "time__lt": before}
    return rows.filter(**{name: value for name, value in given.items() if value}).order_by(
        "-time", "-pk"
    )


def every_audit_entry(rows: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    """Every one of `audit_entries`. Each batch is a query of its own: nothing stays open while a
    client reads slowly.
    """
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        last = batch[-1]
        older = rows.filter(time__lte=last.time).filter(Q(time__lt=last.time) | Q(pk__lt=last.pk))
        batch = list(older[:BATCH]) if len(batch) == BATCH else []


def audit_actors(*, tenant: Tenant) -> list[str]:
    """Everybody whom the audit trail names, by name."""
    return list(
        AuditEntry.objects.filter(tenant=tenant)
        .order_by("actor")
        .values_list("actor", flat=True)
        .distinct()
    )


def key_pair(*, tenant: Tenant) -> KeyPair | None:
    """The current pair, for its fingerprint and age; the private half stays in the database."""
    return KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.CURRENT).first()


def people_who_can(*, tenant: Tenant, action: Action, limit: int = 3) -> list[str]:
    """Names of members who may do this, owners last: somebody to ask."""
    roles = [role.value for role in Role if action in actions_of(role)]
    rows = (
        Membership.objects.select_related("user")
        .filter(tenant=tenant, role__in=roles, user__is_active=True)
        .order_by("role", "pk")
    )
    return [row.user.name or row.user.email for row in rows[:limit]]
