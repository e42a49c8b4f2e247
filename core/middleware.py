"""Middleware for every response of Django: request id and content security policy."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.ids import is_request_id, new_request_id
from core.logging import request_id
from core.web.request import PageRequest

GetResponse = Callable[[HttpRequest], HttpResponse]
PAGES_OF_A_PERSON = frozenset({"profile", "password-change", "workspace-list"})


class RequestIdMiddleware:
    """Takes a well-formed X-Request-Id over or makes one; the answer and every log line carry
    it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: PageRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request.id = given if is_request_id(given) else new_request_id()
        token = request_id.set(request.id)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-Id"] = request.id
        return response


class ContentSecurityPolicyMiddleware:
    """The policy for every answer; and no cache keeps what a workspace, the REST API or the
    operators' site shows.
    """

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
