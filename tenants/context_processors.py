"""Template context processor for the workspace and the reader's rights in it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenants import queries
from tenants.auth.permissions import ROLE_LABELS, Action
from tenants.auth.request import principal_of
from tenants.models import Membership


def workspace(request: HttpRequest) -> dict[str, Any]:
    """Return `tenant`, `principal`, `role_label`, `can` and `memberships` for templates.

    `can` is {"manage_providers": True, ...}; `memberships` come with their `tenant` and are
    queried only when used.
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
