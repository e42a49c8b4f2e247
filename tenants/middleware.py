"""Resolve the tenant and principal of a request and enter the tenant's scope."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from core.db.violations import is_unavailable
from core.middleware import REST_PATH
from core.web.htmx import redirect_page
from tenants import queries
from tenants.auth.headers import BadCredential
from tenants.auth.principal import find_principal, principal_of_member
from tenants.auth.request import TenantRequest
from tenants.models import Membership, Tenant
from tenants.scope import abound, all_tenants, bound, tenant_scope

GetResponse = Callable[[HttpRequest], HttpResponseBase]
# What a person whose password was made for them may open before choosing another.
BEFORE_OWN_PASSWORD: Final = frozenset(
    {"password-change", "login", "logout", "set_language", "set-theme"}
)
SEEN_INTERVAL: Final = 60  # seconds between updates of a session's last request
ACTIVE_INTERVAL: Final = timedelta(minutes=5)  # between updates of a member's last activity


class TenantMiddleware:
    """Set `tenant`, `principal` and `membership` on requests and enter the tenant's scope.

    It must be last in MIDDLEWARE, so that only views run inside the scope.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: TenantRequest) -> HttpResponseBase:
        request.tenant = request.principal = request.membership = None
        if request.path_info.startswith(REST_PATH):
            return self._api(request)  # ignores cookies
        _end_stale_session(request)
        _activate_time_zone(request)
        match = _match(request)
        if _must_choose_password(request, match):
            return _redirect_to_own_password(request)
        if match is not None and match.app_names[:1] == ["admin"]:
            return self._admin(request)
        if match is not None and "workspace" in match.kwargs:
            return self._workspace(request, match.kwargs["workspace"])
        return _for_htmx(request, self.get_response(request))

    def _workspace(self, request: TenantRequest, slug: str) -> HttpResponseBase:
        if not request.user.is_authenticated:
            # The same response for every address, so that only members learn which exist.
            return _for_htmx(
                request, redirect_to_login(_return_path(request), reverse(settings.LOGIN_URL))
            )
        # One query for all of the person's workspaces, as the page's switcher shows them too.
        request.memberships = queries.workspaces_of(request.user)
        member = next(
            (member for member in request.memberships if member.tenant.slug == slug), None
        )
        if member is None:
            return _redirect_to_new_address(request, slug)
        member.user = request.user
        _refuse_inactive(member.tenant)
        request.membership, request.tenant = member, member.tenant
        request.principal = principal_of_member(member)
        with tenant_scope(member.tenant):
            _note_activity(member)
            return _for_htmx(request, self._run(request))

    def _api(self, request: TenantRequest) -> HttpResponseBase:
        """Authenticate by app key; AppKeyAuthentication refuses bad keys, outside any scope."""
        request.bad_credential = None
        try:
            request.principal = find_principal(
                {name.lower(): value for name, value in request.headers.items()}
            )
        except BadCredential as error:
            request.bad_credential = error
            return self.get_response(request)
        except DatabaseError as error:
            if not is_unavailable(error):
                raise
            message = _("The database is unavailable right now. Try again shortly.")
            request.bad_credential = BadCredential("database_unavailable", message)
            return self.get_response(request)
        request.tenant = Tenant.objects.get(pk=request.principal.tenant_id)
        with tenant_scope(request.tenant):
            return self._run(request)

    def _admin(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        if not (user.is_authenticated and user.is_active and user.is_staff):
            return self.get_response(request)  # the admin's own login page
        scope: AbstractContextManager[None] = all_tenants()
        with scope:
            return self._run(request)

    def _run(self, request: HttpRequest) -> HttpResponseBase:
        """Call the view; a streaming response keeps running in the current scope."""
        response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse):
            content = response.streaming_content
            response.streaming_content = (
                abound(content) if isinstance(content, AsyncIterator) else bound(content)
            )
        return response


def _refuse_inactive(tenant: Tenant) -> None:
    if tenant.status == Tenant.Status.CLOSED:
        raise PermissionDenied(
            _(
                "This workspace was closed by an owner, and its keys were destroyed. An operator "
                "of this server can reopen it."
            )
        )
    if tenant.status != Tenant.Status.ACTIVE:
        raise PermissionDenied(
            _("This workspace is suspended. Nothing was deleted. Ask the operator of this server.")
        )


def _redirect_to_new_address(request: TenantRequest, slug: str) -> HttpResponse:
    """Redirect a member from a workspace's former address. Raises Http404 for anyone else."""
    member = queries.moved_to(slug, request.memberships)
    if member is None:
        raise Http404
    path = request.get_full_path().replace(f"/t/{slug}/", f"/t/{member.tenant.slug}/", 1)
    # 307 makes the browser resend a form. Not cacheable, as the workspace may move back.
    return HttpResponse(
        status=302 if request.method in ("GET", "HEAD") else 307,
        headers={"Location": path, "Cache-Control": "no-store"},
    )


def _activate_time_zone(request: HttpRequest) -> None:
    """Activate the person's time zone, or the server's if none was chosen."""
    name = request.user.time_zone if request.user.is_authenticated else ""
    try:
        timezone.activate(ZoneInfo(name)) if name else timezone.deactivate()
    except (KeyError, ValueError, OSError):  # unknown to this machine's time zone database
        timezone.deactivate()


def _match(request: HttpRequest) -> ResolverMatch | None:
    try:
        return resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None


def _end_stale_session(request: HttpRequest) -> None:
    """End a session idle for SESSION_IDLE_LIMIT or older than SESSION_COOKIE_AGE, or of a person
    whose first password has expired.
    """
    if not request.user.is_authenticated:
        return
    if request.user.first_password_expired:
        logout(request)
        return
    now = int(time.time())
    seen, signed_in = request.session.get("seen", now), request.session.get("signed_in", now)
    if now - seen > settings.SESSION_IDLE_LIMIT or now - signed_in > settings.SESSION_COOKIE_AGE:
        logout(request)
    elif "seen" not in request.session or now - seen >= SEEN_INTERVAL:
        request.session["seen"] = now
        request.session.setdefault("signed_in", now)


def _must_choose_password(request: HttpRequest, match: ResolverMatch | None) -> bool:
    """Return whether the person still has a first password and asks for any other page."""
    if not request.user.is_authenticated or request.user.first_password_until is None:
        return False
    return match is None or bool(match.app_names) or match.url_name not in BEFORE_OWN_PASSWORD


def _redirect_to_own_password(request: TenantRequest) -> HttpResponse:
    response = redirect_to_login(_return_path(request), reverse("password-change"))
    return redirect_page(response.url) if request.htmx else response


def _note_activity(member: Membership) -> None:
    now = timezone.now()
    if member.last_active is None or now - member.last_active > ACTIVE_INTERVAL:
        Membership.objects.filter(pk=member.pk).update(last_active=now)


def _for_htmx(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Make htmx redirect the whole page to the login page, not the fragment that it replaces."""
    target = response.headers.get("Location", "")
    if request.headers.get("HX-Request") == "true" and target.partition("?")[0] == reverse(
        settings.LOGIN_URL
    ):
        return redirect_page(target)
    return response


def _return_path(request: TenantRequest) -> str:
    """Return the path to come back to after login: the open page, not the fragment for htmx."""
    return (request.htmx.current_url_abs_path if request.htmx else None) or request.get_full_path()
