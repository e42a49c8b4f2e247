"""The request type used by views and middleware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """An HttpRequest with the attributes that middleware adds; for type checking only."""

    id: str  # by RequestIdMiddleware
    htmx: HtmxDetails  # by HtmxMiddleware; true when htmx sent the request


def scope_of(request: HttpRequest) -> Mapping[str, Any]:
    """Return the request's ASGI scope, or an empty one under WSGI and in tests."""
    scope: Mapping[str, Any] = getattr(request, "scope", {})
    return scope
