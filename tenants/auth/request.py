"""Request types with the attributes that TenantMiddleware adds; for type checking only."""

from __future__ import annotations

from typing import TypeGuard

from django.http import HttpRequest
from rest_framework.request import Request

from core.web.request import PageRequest
from tenants.auth.headers import BadCredential
from tenants.auth.principal import Principal
from tenants.models import Membership, Tenant, User


class TenantRequest(PageRequest):
    """A request after TenantMiddleware; `tenant` and `principal` are None outside workspaces."""

    tenant: Tenant | None
    principal: Principal | None
    membership: Membership | None  # None for an app key
    # All memberships of the person, with their tenants; set on workspace pages only.
    memberships: list[Membership]
    bad_credential: BadCredential | None  # set on the REST API only


class SignedInRequest(PageRequest):
    """A request to a page behind `login_required`."""

    user: User


class WorkspaceAPIRequest(Request):
    """An authenticated REST API request; DRF forwards the attributes of Django's request."""

    tenant: Tenant
    principal: Principal


class WorkspaceRequest(SignedInRequest):
    """A member's request to a workspace page, as `decorators.page` passes it to a view."""

    tenant: Tenant
    principal: Principal
    membership: Membership
    memberships: list[Membership]


def in_workspace(request: HttpRequest) -> TypeGuard[WorkspaceRequest]:
    """Return whether the sender is a member of the workspace in the URL."""
    return getattr(request, "membership", None) is not None


def principal_of(request: HttpRequest) -> Principal | None:
    """Return the member or app key behind a request, or None."""
    principal: Principal | None = getattr(request, "principal", None)
    return principal
