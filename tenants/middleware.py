"""The only HTTP entry into a workspace: session or app key plus URL become tenant, principal and
scope, else 401 or 404.
"""

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
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from core.web.htmx import redirect_page
from tenants import queries
from tenants.auth.headers import BadCredential
from tenants.auth.principal import find_principal, principal_of_member
from tenants.auth.request import TenantRequest
from tenants.models import Membership, Tenant
from tenants.scope import abound, all_tenants, bound, tenant_scope

GetResponse = Callable[[HttpRequest], HttpResponseBase]
API_PATH: Final = "/api/v1/"
SEEN_EVERY: Final = 60  # seconds between two notes of a session's last request
ACTIVE_EVERY: Final = timedelta(minutes=5)  # between two notes of a member's last activity


class TenantMiddleware:
    """Stands last: whatever it calls runs inside the scope it enters, and nothing else does."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: TenantRequest) -> HttpResponseBase:
        request.tenant = request.principal = request.membership = None
        if request.path_info.startswith(API_PATH):
            return self._api(request)  # looks at no cookie
        _end_stale_session(request)
        _in_own_time(request)
        match = _match(request)
        if match is not None and match.app_names[:1] == ["admin"]:
            return self._admin(request)
        if match is not None and "workspace" in match.kwargs:
            return self._workspace(request, match.kwargs["workspace"])
        return _for_htmx(request, self.get_response(request))

    def _workspace(self, request: TenantRequest, slug: str) -> HttpResponseBase:
        if not request.user.is_authenticated:
            # The same answer for every address: whether a workspace exists is told to members only.
            return _for_htmx(
                request, redirect_to_login(_return_path(request), reverse(settings.LOGIN_URL))
            )
        # All of the person's workspaces in one query: the page's switcher shows them.
        request.memberships = queries.workspaces_of(request.user)
        member = next((one for one in request.memberships if one.tenant.slug == slug), None)
        if member is None:
            return _moved(request, slug)
        member.user = request.user
        _refuse_inactive(member.tenant)
        request.membership, request.tenant = member, member.tenant
        request.principal = principal_of_member(member)
        with tenant_scope(member.tenant):
            _note_activity(member)
            return _for_htmx(request, self._run(request))

    def _api(self, request: TenantRequest) -> HttpResponseBase:
        """The REST API knows app keys only. A bad one is refused by AppKeyAuthentication; no scope
        is entered for it.
        """
        request.bad_credential = None
        try:
            request.principal = find_principal(
                {name.lower(): value for name, value in request.headers.items()}
            )
        except BadCredential as error:
            request.bad_credential = error
            return self.get_response(request)
        except (OperationalError, InterfaceError):
            message = _("The database cannot be reached at the moment. Try again.")
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
        """The view's answer; the pieces of a streamed one are made in the scope of now."""
        response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse):
            pieces = response.streaming_content
            response.streaming_content = (
                abound(pieces) if isinstance(pieces, AsyncIterator) else bound(pieces)
            )
        return response


def _refuse_inactive(tenant: Tenant) -> None:
    if tenant.status == Tenant.Status.CLOSED:
        raise PermissionDenied(
            _(
                "This workspace was closed by an owner. Its keys are destroyed. An operator of "
                "this server can reopen it."
            )
        )
    if tenant.status != Tenant.Status.ACTIVE:
        raise PermissionDenied(
            _("This workspace is suspended. Nothing was deleted. Ask the operator of this server.")
        )


def _moved(request: TenantRequest, slug: str) -> HttpResponse:
    """To where a workspace of the person is now that had this address. For everybody else there is
    nothing here. Raises Http404.
    """
    member = queries.moved_to(slug, request.memberships)
    if member is None:
        raise Http404
    path = request.get_full_path().replace(f"/t/{slug}/", f"/t/{member.tenant.slug}/", 1)
    # A form that was opened before is sent once more, as it was; nothing is kept, for the address
    # may be taken back.
    return HttpResponse(
        status=302 if request.method in ("GET", "HEAD") else 307,
        headers={"Location": path, "Cache-Control": "no-store"},
    )


def _in_own_time(request: HttpRequest) -> None:
    """Times and days are those of the person's zone; the server's for whoever chose none."""
    name = request.user.time_zone if request.user.is_authenticated else ""
    try:
        timezone.activate(ZoneInfo(name)) if name else timezone.deactivate()
    except (KeyError, ValueError, OSError):  # a zone that this machine's database has no more
        timezone.deactivate()


def _match(request: HttpRequest) -> ResolverMatch | None:
    try:
        return resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None


def _end_stale_session(request: HttpRequest) -> None:
    """Sessions end after SESSION_IDLE_LIMIT without a request and SESSION_COOKIE_AGE after the
    sign-in, whatever happens.
    """
    if not request.user.is_authenticated:
        return
    now = int(time.time())
    seen, begun = request.session.get("seen", now), request.session.get("signed_in", now)
    if now - seen > settings.SESSION_IDLE_LIMIT or now - begun > settings.SESSION_COOKIE_AGE:
        logout(request)
    elif "seen" not in request.session or now - seen >= SEEN_EVERY:
        request.session["seen"] = now
        request.session.setdefault("signed_in", now)


def _note_activity(member: Membership) -> None:
    now = timezone.now()
    if member.last_active is None or now - member.last_active > ACTIVE_EVERY:
        Membership.objects.filter(pk=member.pk).update(last_active=now)


def _for_htmx(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A redirect to the login page would land inside the fragment that htmx replaces: let the whole
    page go there.
    """
    target = response.headers.get("Location", "")
    if request.headers.get("HX-Request") == "true" and target.partition("?")[0] == reverse(
        settings.LOGIN_URL
    ):
        return redirect_page(target)
    return response


def _return_path(request: TenantRequest) -> str:
    """Where the login leads back to: the page that is open, not the fragment that htmx asked for."""
    return (request.htmx.current_url_abs_path if request.htmx else None) or request.get_full_path()
