"""Middleware for every Django response: connection, request id, security headers and caching."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _

from core import error_codes
from core.api.errors import error_body
from core.db.connection import release
from core.ids import is_request_id, new_request_id
from core.logging.lines import request_id
from core.web.request import PageRequest

REST_PATH = "/api/v1/"
GetResponse = Callable[[HttpRequest], HttpResponse]
HTTPS_REQUIRED = _(
    "Send requests over https. This one was not encrypted, so others may have read its key: "
    "replace it."
)
PAGES_OF_A_PERSON = frozenset({"profile", "password-change", "workspace-list"})


class ReleaseConnectionMiddleware:
    """Return the database connection once the response is made, not once it is sent.

    A few clients that read slowly would otherwise hold all connections.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        finally:
            release()


class RequestIdMiddleware:
    """Accept a well-formed X-Request-Id or make one, for the response and the log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: PageRequest) -> HttpResponse:
        client_id = request.headers.get("X-Request-Id", "")
        request.id = client_id if is_request_id(client_id) else new_request_id()
        token = request_id.set(request.id)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-Id"] = request.id
        return response


class HttpsMiddleware:
    """Refuse plain http for the REST API, where Django's SecurityMiddleware would redirect.

    A redirect would let a client go on sending its app key unencrypted first, unnoticed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: PageRequest) -> HttpResponse:
        if not settings.SECURE_SSL_REDIRECT or request.is_secure() or not _is_api(request):
            return self.get_response(request)
        body = error_body("https_required", HTTPS_REQUIRED, request_id=request.id)
        return JsonResponse(body, status=error_codes.status_of("https_required"))


class RestPathMiddleware:
    """Accept paths of the REST API with a trailing slash too."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(REST_PATH) and request.path_info != REST_PATH:
            request.path_info = request.path_info.removesuffix("/")
        return self.get_response(request)


def _is_api(request: HttpRequest) -> bool:
    path = request.path_info
    return path.startswith("/api/") and not path.startswith("/api/docs/")


class ContentSecurityPolicyMiddleware:
    """Set the security policies, and forbid caching of private pages."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if _is_private(request):
            response.setdefault("Cache-Control", "no-store")
        response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), payment=(), usb=(), microphone=(self)"
        )
        return response


def _is_private(request: HttpRequest) -> bool:
    match = request.resolver_match
    if match is None:
        return request.path_info.startswith("/api/")
    of_person = match.url_name in PAGES_OF_A_PERSON and not match.app_names
    return (
        request.path_info.startswith("/api/")
        or of_person
        or "workspace" in match.kwargs
        or "admin" in match.app_names
    )
