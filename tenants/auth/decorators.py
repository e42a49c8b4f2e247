"""View decorators that check permissions and recent sign-in on workspace pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from core.web.htmx import redirect_page
from tenants import queries
from tenants.auth.permissions import ACTION_LABELS, ROLE_LABELS, Action
from tenants.auth.request import WorkspaceRequest, in_workspace

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
P = ParamSpec("P")
Request = TypeVar("Request", bound=HttpRequest)
Response = TypeVar("Response", bound=HttpResponseBase)
FRESH_SECONDS: Final = 15 * 60  # how long a sign-in counts as recent
# Extra time to submit a form that was opened in time, so that typed input isn't lost.
GRACE_SECONDS: Final = 15 * 60


def page(
    action: Action, *, post: Action | None = None
) -> Callable[[Callable[Concatenate[WorkspaceRequest, P], Response]], Callable[..., Response]]:
    """Restrict a workspace view to members whose role allows an action.

    Other members get a 403 page that names their role and whom to ask. The decorated view exposes
    `required_actions` ({"GET": ..., "POST": ...}); the permission tests read it.

    Args:
        action: Required to open the page.
        post: Required for every unsafe method, if different.
    """
    required_actions = {"GET": action, "POST": post or action}

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, P], Response],
    ) -> Callable[..., Response]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> Response:
            method = "GET" if request.method in SAFE_METHODS else "POST"
            member_request = require(request, required_actions[method])
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


def recently_authenticated(
    view: Callable[Concatenate[Request, P], HttpResponseBase],
) -> Callable[Concatenate[Request, P], HttpResponseBase]:
    """Ask for the password again before a sensitive change unless the sign-in is recent.

    A form that was opened in time may still be sent within GRACE_SECONDS. The login page returns
    to the page the person came from.
    """

    @wraps(view)
    def checked(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        grace = 0 if request.method in SAFE_METHODS else GRACE_SECONDS
        if is_recent(request, FRESH_SECONDS + grace):
            return view(request, *args, **kwargs)
        return _redirect_to_login(request)

    return checked


def is_recent(request: HttpRequest, seconds: float = FRESH_SECONDS) -> bool:
    """Return whether the password was entered within the last `seconds`."""
    proven_at: float = request.session.get("proven", 0)
    return 0 <= time.time() - proven_at <= seconds


def note_authenticated(request: HttpRequest) -> None:
    """Record in the session that the password was just entered."""
    now = int(time.time())
    request.session.update({"proven": now, "seen": now, "signed_in": now})


def _redirect_to_login(request: HttpRequest) -> HttpResponse:
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    page_path = htmx.current_url_abs_path if htmx else None
    response = redirect_to_login(page_path or request.get_full_path(), reverse(settings.LOGIN_URL))
    if htmx:
        return redirect_page(response.url)
    return response
