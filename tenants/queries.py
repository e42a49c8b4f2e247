"""Read-only queries on workspaces and people, for pages and the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q, QuerySet

from tenants.auth.permissions import Action, Role, actions_of
from tenants.models import (
    AllowedOrigin,
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

BATCH = 1000  # rows per query of an export


def workspaces_of(user: User) -> list[Membership]:
    """Return a person's memberships by workspace name, suspended and closed workspaces included."""
    with all_tenants():
        return list(
            Membership.objects.select_related("tenant")
            .filter(user=user, tenant__is_system=False)
            .order_by("tenant__name", "tenant__slug")
        )


def address_is_taken(slug: str, *, besides: Tenant | None = None) -> bool:
    """Return whether a workspace has or had this address.

    Args:
        slug: The address.
        besides: A workspace that may use its own former addresses again.
    """
    with all_tenants():
        former = FormerAddress.objects.filter(slug=slug)
        former = former.exclude(tenant=besides) if besides is not None else former
        return Tenant.objects.filter(slug=slug).exists() or former.exists()


def moved_to(slug: str, among: list[Membership]) -> Membership | None:
    """Return the membership among those given whose workspace formerly had this address."""
    with all_tenants():
        tenant_id = (
            FormerAddress.objects.filter(slug=slug).values_list("tenant_id", flat=True).first()
        )
    return next((member for member in among if member.tenant_id == tenant_id), None)


def members(*, tenant: Tenant) -> QuerySet[Membership]:
    """Return the members by e-mail address."""
    return (
        Membership.objects.select_related("user", "invited_by")
        .filter(tenant=tenant)
        .order_by("user__email")
    )


def open_invitations(*, tenant: Tenant) -> QuerySet[Invitation]:
    """Return invitations that were not accepted, expired ones included, newest first."""
    return (
        Invitation.objects.select_related("created_by")
        .filter(tenant=tenant, accepted=None)
        .order_by("-created")
    )


def app_keys(*, tenant: Tenant, created_by: int | None = None) -> QuerySet[AppKey]:
    """Return keys that are not revoked, newest first.

    Args:
        tenant: The workspace.
        created_by: A user's id, to return only that person's keys.
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
    """Return audit entries, newest first.

    Args:
        tenant: The workspace.
        search: Part of the actor or the object.
        action: Start of the action, such as "member.".
        actor: The exact actor.
        since: Include entries from this time on.
        before: Include entries before this time.
    """
    rows = AuditEntry.objects.filter(tenant=tenant)
    if search:
        rows = rows.filter(Q(actor__icontains=search) | Q(object_label__icontains=search))
    filters = {"action__startswith": action, "actor": actor, "time__gte": since, "time__lt": before}
    rows = rows.filter(**{name: value for name, value in filters.items() if value})
    return rows.order_by("-time", "-pk")


def every_audit_entry(rows: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    """Yield all of `audit_entries` in batches, so that no query stays open for a slow client."""
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        last = batch[-1]
        older = rows.filter(time__lte=last.time).filter(Q(time__lt=last.time) | Q(pk__lt=last.pk))
        batch = list(older[:BATCH]) if len(batch) == BATCH else []


def audit_actors(*, tenant: Tenant) -> list[str]:
    """Return all actors in the audit trail, sorted."""
    return list(
        AuditEntry.objects.filter(tenant=tenant)
        .order_by("actor")
        .values_list("actor", flat=True)
        .distinct()
    )


def key_pair(*, tenant: Tenant) -> KeyPair | None:
    """Return the current key pair without loading its private key."""
    return KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.CURRENT).first()


def people_who_can(*, tenant: Tenant, action: Action, limit: int = 3) -> list[str]:
    """Return names of members who may perform an action, owners last, as people to ask."""
    roles = [role.value for role in Role if action in actions_of(role)]
    rows = (
        Membership.objects.select_related("user")
        .filter(tenant=tenant, role__in=roles, user__is_active=True)
        .order_by("role", "pk")
    )
    return [row.user.name or row.user.email for row in rows[:limit]]


def allowed_origins(*, tenant: Tenant) -> list[str]:
    """Return the origins whose web pages may call models."""
    rows = AllowedOrigin.objects.filter(tenant=tenant).order_by("origin")
    return list(rows.values_list("origin", flat=True))
