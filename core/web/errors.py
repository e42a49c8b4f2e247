"""The page for unexpected errors; it shows the request id and needs no database."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseServerError
from django.template import loader
from django.urls import get_script_prefix


def server_error(request: HttpRequest) -> HttpResponseServerError:
    return HttpResponseServerError(
        loader.render_to_string(
            "500.html", {"request_id": getattr(request, "id", ""), "home": get_script_prefix()}
        )
    )
