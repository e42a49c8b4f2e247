"""The pages for unexpected errors; they show the request id and need no database."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.urls import get_script_prefix

from core.db.violations import is_slow, is_unavailable

RETRY_SECONDS = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the page for the exception that is being handled: 503 if the database is away, or too
    busy for this page.
    """
    error = sys.exception()
    is_away = is_unavailable(error)
    context = {
        "is_away": is_away,
        "is_slow": is_slow(error),
        "request_id": getattr(request, "id", ""),
        "home": get_script_prefix(),
    }
    status = 503 if is_away else 500
    response = HttpResponse(loader.render_to_string("500.html", context), status=status)
    if is_away:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response
