"""Requests of which it is known who sends them. These are types only: TenantMiddleware adds what is
named here.
"""

from __future__ import annotations

from typing import TypeGuard

from django.http import HttpRequest
from rest_framework.request import Request

from core.web.request import PageRequest
from tenants.auth.headers import BadCredential
from tenants.auth.principal import Principal
from tenants.models import Membership, Tenant, User


class TenantRequest(PageRequest):
    """Any request behind TenantMiddleware; `tenant` and `principal` are None outside a workspace."""

    tenant: Tenant | None
    principal: Principal | None
    membership: Membership | None  # None for an app key
    memberships: list[
        Membership
    ]  # the person's, with their tenants; set on the pages of a workspace only
    bad_credential: BadCredential | None  # set on the REST API only


class SignedInRequest(PageRequest):
    """A request to a page behind `login_required`."""

    user: User


class WorkspaceAPIRequest(Request):
    """An app key's request to the REST API, once authenticated. DRF passes on what Django's request
    has.
    """

    tenant: Tenant
    principal: Principal


class WorkspaceRequest(SignedInRequest):
    """A member's request to a page of a workspace, as the decorator `page` hands it to a view."""

    tenant: Tenant
    principal: Principal
    membership: Membership
    memberships: list[Membership]


def in_workspace(request: HttpRequest) -> TypeGuard[WorkspaceRequest]:
    """Whether the middleware has found the sender to be a member of the workspace that the URL
    names.
    """
    return getattr(request, "membership", None) is not None


def principal_of(request: HttpRequest) -> Principal | None:
    """Who acts in a workspace, or with an app key on the REST API; None for everybody else."""
    principal: Principal | None = getattr(request, "principal", None)
    return principal
