"""Write audit entries and determine who acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest

from tenants.auth.permissions import Role
from tenants.auth.principal import Principal
from tenants.auth.request import principal_of
from tenants.models import AuditEntry, Tenant


@dataclass(frozen=True)
class Actor:
    """Who performs a change. `role` limits the roles it may assign; with None it assigns none."""

    label: str  # an e-mail address, "app key <name>", "command", "system"
    user_id: int | None = None
    address: str | None = None
    role: Role | None = None
    # Set if an app key acts; keys that it makes can't do more than itself.
    principal: Principal | None = None

    @property
    def app_key_id(self) -> UUID | None:
        """The acting app key."""
        return self.principal.app_key_id if self.principal is not None else None


COMMAND: Final = Actor("command", role=Role.OWNER)
SYSTEM: Final = Actor("system")


def actor_of(request: HttpRequest) -> Actor:
    """Return the actor of a request: a member, an app key, or an operator in the admin."""
    address = request.META.get("REMOTE_ADDR") or None
    principal = principal_of(request)
    if principal is None:
        return Actor(label=str(request.user), user_id=request.user.pk, address=address)
    if principal.kind == "app_key":
        # Only people own workspaces, so an app key acts as an admin at most.
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
    """Write an audit entry.

    Args:
        tenant: The workspace.
        actor: Who performs the change.
        action: "<object>.<past participle>", such as "member.added".
        object_type: Such as "member".
        object_id: Primary key or other id.
        object_label: Name of the object at this time.
        details: Plain JSON without secrets.
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
