"""The request as the middleware of all pages leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """A type only: Django makes the object, the middleware adds what is named here."""

    id: str  # by RequestIdMiddleware
    htmx: HtmxDetails  # by HtmxMiddleware; true when htmx sent the request


def scope_of(request: HttpRequest) -> Mapping[str, Any]:
    """The request's ASGI scope; empty under WSGI and in tests without a server."""
    scope: Mapping[str, Any] = getattr(request, "scope", {})
    return scope
