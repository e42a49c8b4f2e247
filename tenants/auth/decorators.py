"""View decorators that check permissions and recent sign-in on workspace pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from core.web.htmx import redirect_page
from tenants import queries
from tenants.auth.permissions import ACTION_LABELS, ROLE_LABELS, SENSITIVE_ACTIONS, Action
from tenants.auth.request import WorkspaceRequest, in_workspace

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
P = ParamSpec("P")
FRESH_SECONDS: Final = 15 * 60  # how long a sign-in counts as recent
# Extra time to submit a form that was opened in time, so that typed input isn't lost.
GRACE_SECONDS: Final = 15 * 60


def page(
    action: Action, *, post: Action | None = None, fresh: bool | None = None
) -> Callable[
    [Callable[Concatenate[WorkspaceRequest, P], HttpResponseBase]], Callable[..., HttpResponseBase]
]:
    """Restrict a workspace view to members whose role allows an action.

    Other members get a 403 page that names their role and whom to ask. The decorated view exposes
    `required_actions` ({"GET": ..., "POST": ...}); the permission tests read it.

    Args:
        action: Required to open the page.
        post: Required for every unsafe method, if different.
        fresh: Whether to ask for the password again if the sign-in isn't recent; by default, for
            SENSITIVE_ACTIONS.
    """
    required_actions = {"GET": action, "POST": post or action}

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, P], HttpResponseBase],
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            method = "GET" if request.method in SAFE_METHODS else "POST"
            required = required_actions[method]
            member_request = require(request, required)
            asks = required in SENSITIVE_ACTIONS if fresh is None else fresh
            if asks and not in_time(request):
                return redirect_to_sign_in(request)
            kwargs.pop("workspace", None)  # the middleware has resolved it to request.tenant
            return view(member_request, *args, **kwargs)

        checked.required_actions = required_actions  # type: ignore[attr-defined]  # on a function
        return checked

    return decorate


def require(request: HttpRequest, action: Action) -> WorkspaceRequest:
    """Return the request, narrowed to a member who may perform the action.

    Raises:
        PermissionDenied: With a message for the person, if the action is not allowed.
    """
    if not in_workspace(request) or not request.principal.can(action):
        raise PermissionDenied(forbidden_text(request, action))
    return request


def forbidden_text(request: HttpRequest, action: Action) -> str:
    """Return the message for a person who may not perform the action."""
    if not in_workspace(request) or request.principal.role is None:
        return _("This page belongs to a workspace. Open it from the list of your workspaces.")
    values = {"role": ROLE_LABELS[request.principal.role], "what": ACTION_LABELS[action]}
    names = queries.people_who_can(tenant=request.tenant, action=action)
    if not names:
        return _("Your role (%(role)s) cannot %(what)s.") % values
    values["names"] = ", ".join(names)
    return _("Your role (%(role)s) cannot %(what)s. Ask an admin: %(names)s.") % values


def in_time(request: HttpRequest) -> bool:
    """Return whether the sign-in is recent enough for a sensitive change.

    A form that was opened in time may still be sent within GRACE_SECONDS.
    """
    grace = 0 if request.method in SAFE_METHODS else GRACE_SECONDS
    return is_recent(request, FRESH_SECONDS + grace)


def is_recent(request: HttpRequest, seconds: float = FRESH_SECONDS) -> bool:
    """Return whether the password was entered within the last `seconds`."""
    proven_at: float = request.session.get("proven", 0)
    return 0 <= time.time() - proven_at <= seconds


def note_authenticated(request: HttpRequest) -> None:
    """Record in the session that the password was just entered."""
    now = int(time.time())
    request.session.update({"proven": now, "seen": now, "signed_in": now})


def redirect_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for the password again; the login page returns to the page the person came from."""
    response = redirect_to_login(_open_page(request), reverse(settings.LOGIN_URL))
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return redirect_page(response.url) if htmx else response


def _open_page(request: HttpRequest) -> str:
    """Return the path of the page in the browser, which a button's own URL may not be."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    if htmx and htmx.current_url_abs_path:
        return htmx.current_url_abs_path
    page_url = request.headers.get("Referer", "")
    if request.method not in SAFE_METHODS and url_has_allowed_host_and_scheme(
        page_url, {request.get_host()}, require_https=request.is_secure()
    ):
        parts = urlsplit(page_url)
        return urlunsplit(("", "", parts.path, parts.query, ""))
    return request.get_full_path()
