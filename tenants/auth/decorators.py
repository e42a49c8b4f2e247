"""Decorators of the pages inside a workspace: which Action a view is, and which need a fresh
sign-in.
"""

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

P = ParamSpec("P")
Request = TypeVar("Request", bound=HttpRequest)
Response = TypeVar("Response", bound=HttpResponseBase)
FRESH_SECONDS: Final = 15 * 60  # a sign-in is recent for so long
# A form that was opened in time may be sent this much later: nobody loses what was typed.
GRACE_SECONDS: Final = 15 * 60


def page(
    action: Action, *, post: Action | None = None
) -> Callable[[Callable[Concatenate[WorkspaceRequest, P], Response]], Callable[..., Response]]:
    """A view of a workspace. `action` is what it takes to open it; `post`, if given, what every
    other method takes.

    Who may not gets the 403 page that names the role and somebody to ask. The walker reads
    `required_actions` ({"GET": ..., "POST": ...}) from the view.
    """
    table = {"GET": action, "POST": post or action}

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, P], Response],
    ) -> Callable[..., Response]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> Response:
            member_request = require(
                request, table["GET" if request.method in ("GET", "HEAD", "OPTIONS") else "POST"]
            )
            kwargs.pop("workspace", None)  # the middleware has made request.tenant of it
            return view(member_request, *args, **kwargs)

        checked.required_actions = table  # type: ignore[attr-defined]  # of a function
        return checked

    return decorate


def require(request: HttpRequest, action: Action) -> WorkspaceRequest:
    """The request of a member who may do this. Raises PermissionDenied, with words for the person,
    for everybody else.
    """
    if not in_workspace(request) or not request.principal.can(action):
        raise PermissionDenied(forbidden_text(request, action))
    return request


def forbidden_text(request: HttpRequest, action: Action) -> str:
    if not in_workspace(request) or request.principal.role is None:
        return _("This page belongs to a workspace. Open it from the list of your workspaces.")
    role, what = ROLE_LABELS[request.principal.role], ACTION_LABELS[action]
    names = queries.people_who_can(tenant=request.tenant, action=action)
    if not names:
        return _("Your role (%(role)s) cannot %(what)s.") % {"role": role, "what": what}
    values = {"role": role, "what": what, "names": ", ".join(names)}
    return _("Your role (%(role)s) cannot %(what)s. Ask an admin: %(names)s.") % values


def recently_authenticated(
    view: Callable[Concatenate[Request, P], HttpResponseBase],
) -> Callable[Concatenate[Request, P], HttpResponseBase]:
    """For replacing keys and base URLs, roles and app keys: who signed in long ago does it again
    first.

    A form that was opened in time may still be sent for GRACE_SECONDS. What leads to the login page
    returns to the page.
    """

    @wraps(view)
    def checked(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        opening = request.method in ("GET", "HEAD", "OPTIONS")
        if is_recent(request, FRESH_SECONDS if opening else FRESH_SECONDS + GRACE_SECONDS):
            return view(request, *args, **kwargs)
        return _again(request)

    return checked


def is_recent(request: HttpRequest, seconds: float = FRESH_SECONDS) -> bool:
    """Whether the password was typed within the last so many seconds."""
    proven: float = request.session.get("proven", 0)
    return 0 <= time.time() - proven <= seconds


def note_authenticated(request: HttpRequest) -> None:
    """The password was typed just now. Called at each sign-in, and by a page that asks for the
    password again.
    """
    now = int(time.time())
    request.session.update({"proven": now, "seen": now, "signed_in": now})


def _again(request: HttpRequest) -> HttpResponse:
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    here = htmx.current_url_abs_path if htmx else None
    response = redirect_to_login(here or request.get_full_path(), reverse(settings.LOGIN_URL))
    if htmx:
        return redirect_page(response.url)
    return response
