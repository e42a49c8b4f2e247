"""The audit trail: who acts, and the one function that writes an entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest

from tenants.auth.permissions import Role
from tenants.auth.principal import Principal
from tenants.auth.request import principal_of
from tenants.models import AuditEntry, Tenant


@dataclass(frozen=True)
class Actor:
    """Who does something. `role` bounds what it may give to others; None may give nothing."""

    label: str  # an e-mail address, "app key <name>", "command", "system"
    user_id: int | None = None
    address: str | None = None
    role: Role | None = None
    principal: Principal | None = (
        None  # set where an app key acts: what it makes is never wider than itself
    )


COMMAND: Final = Actor("command", role=Role.OWNER)
SYSTEM: Final = Actor("system")


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind a request: a member, an app key, or an operator in the admin."""
    address = request.META.get("REMOTE_ADDR") or None
    principal = principal_of(request)
    if principal is None:
        return Actor(label=str(request.user), user_id=request.user.pk, address=address)
    if principal.kind == "app_key":
        # A command's key has no person behind it; owning a workspace needs one, so it acts as an
        # admin at most.
        role = Role.ADMIN if principal.role in (None, Role.OWNER) else principal.role
        return Actor(principal.label, principal.user_id, address, role, principal)
    return Actor(principal.label, principal.user_id, address, principal.role)


def record(
    *,
    tenant: Tenant,
    actor: Actor,
    action: str,
    object_type: str = "",
    object_id: Any = "",
    object_label: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Write one entry. `action` is "<thing>.<past participle>"; `details` is plain JSON and never
    holds a secret.
    """
    return AuditEntry.objects.create(
        tenant=tenant,
        actor=actor.label[:160],
        user_id=actor.user_id,
        address=actor.address,
        action=action,
        object_type=object_type,
        object_id=str(object_id)[:80],
        object_label=str(object_label)[:160],
        details=dict(details or {}),
    )
