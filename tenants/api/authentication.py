"""Django REST framework's view of app keys and permissions. The endpoints are in rest.py."""

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
    """What DRF calls the user: the app key itself."""

    is_authenticated = True
    is_anonymous = False
    is_staff = False

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.pk = principal.user_id

    def __str__(self) -> str:
        return self.principal.label


class AppKeyAuthentication(BaseAuthentication):
    """Takes over what the middleware found in the headers; sessions and cookies count for nothing
    here.
    """

    def authenticate(self, request: Request) -> tuple[AppKeyUser, Principal]:
        """Raises BadCredential (401, 400 or 403)."""
        principal = principal_of(request._request)
        if principal is None:
            refused: BadCredential | None = getattr(request._request, "bad_credential", None)
            raise refused or NotAuthenticated()
        return AppKeyUser(principal), principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="modelkeep"'


class ActionPermission(BasePermission):
    """The view says per method which Action it is: `required_actions = {"GET": Action.X, "POST":
    Action.Y}`.

    A method that is not in the table is not allowed: a forgotten line refuses.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = principal_of(request._request)
        action = required_action(view, request.method or "")
        return principal is not None and action is not None and principal.can(action)


def required_action(view: Any, method: str) -> Action | None:
    """The Action of a view's method; HEAD is GET; OPTIONS needs what GET needs."""
    table: dict[str, Action] = getattr(view, "required_actions", {})
    return table.get("GET" if method in ("HEAD", "OPTIONS") else method)
