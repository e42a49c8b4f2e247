"""Authentication and permission classes for Django REST framework."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tenants.auth.headers import BadCredential
from tenants.auth.permissions import Action
from tenants.auth.principal import Principal
from tenants.auth.request import principal_of


class AppKeyUser:
    """The app key, in the role of DRF's user."""

    is_authenticated = True
    is_anonymous = False
    is_staff = False

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.pk = principal.user_id

    def __str__(self) -> str:
        return self.principal.label


class AppKeyAuthentication(BaseAuthentication):
    """Use the principal that TenantMiddleware found in the headers; ignore sessions and cookies."""

    def authenticate(self, request: Request) -> tuple[AppKeyUser, Principal]:
        """Return DRF's user and auth. Raises BadCredential (401, 400 or 403)."""
        principal = principal_of(request._request)
        if principal is None:
            error: BadCredential | None = getattr(request._request, "bad_credential", None)
            raise error or NotAuthenticated()
        return AppKeyUser(principal), principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="modelkeep"'


class ActionPermission(BasePermission):
    """Require the Action that the view's `required_actions` lists for the method.

    Methods that are not listed are refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = principal_of(request._request)
        action = required_action(view, request.method or "")
        return principal is not None and action is not None and principal.can(action)


def required_action(view: Any, method: str) -> Action | None:
    """Return the Action that a method requires; HEAD and OPTIONS require the same as GET."""
    actions: dict[str, Action] = getattr(view, "required_actions", {})
    return actions.get("GET" if method in ("HEAD", "OPTIONS") else method)
