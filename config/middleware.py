"""What every answer of Django gets: a request id, the content security policy; and the answers to probes."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config import health
from config.logs import request_id
from core.web.request import PageRequest
from tenants.ids import is_request_id, new_request_id

GetResponse = Callable[[HttpRequest], HttpResponse]
PAGES_OF_A_PERSON = frozenset({"profile", "password-change", "workspace-list"})


class ProbeMiddleware:
    """Answers /healthz and /readyz first of all: balancers ask by address, over plain http, and without a session."""

    PROBES = {"/healthz": health.healthz, "/readyz": health.readyz}

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = self.PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        response = probe(request) if request.method in ("GET", "HEAD") else HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        response["Cache-Control"] = "no-store"
        return response


class RequestIdMiddleware:
    """Takes a well-formed X-Request-Id over or makes one; the answer and every log line carry it."""

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
    """The policy for every answer; and no cache keeps what a workspace, the REST API or the operators' site shows."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if _is_private(request):
            response.setdefault("Cache-Control", "no-store")
        response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), payment=(), usb=(), microphone=(self)")
        return response


def _is_private(request: HttpRequest) -> bool:
    match = request.resolver_match
    if match is None:
        return request.path_info.startswith("/api/")
    of_person = match.url_name in PAGES_OF_A_PERSON and not match.app_names
    return request.path_info.startswith("/api/") or of_person or "workspace" in match.kwargs or "admin" in match.app_names
