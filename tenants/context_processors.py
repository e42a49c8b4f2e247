"""What every template knows: the workspace, the reader's rights in it, and the way to the reader's
other workspaces.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants import queries
from tenants.auth.permissions import ROLE_LABELS, Action
from tenants.auth.request import principal_of
from tenants.models import Membership


def workspace(request: HttpRequest) -> dict[str, Any]:
    """`tenant`, `principal`, `role_label`, `can` ({"manage_providers": True, ...}) and, asked for
    only where it is shown, `memberships` (with their `tenant`).
    """
    principal = principal_of(request)
    return {
        "tenant": getattr(request, "tenant", None),
        "principal": principal,
        "role_label": ROLE_LABELS[principal.role] if principal and principal.role else "",
        "can": {action.value: bool(principal and principal.can(action)) for action in Action},
        "memberships": SimpleLazyObject(lambda: _memberships(request)),
    }


def _memberships(request: HttpRequest) -> list[Membership]:
    if hasattr(request, "memberships"):  # read by the middleware
        return list(request.memberships)
    user = getattr(request, "user", None)
    return queries.workspaces_of(user) if user is not None and user.is_authenticated else []
