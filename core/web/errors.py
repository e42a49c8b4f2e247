"""The page for what nobody expected: it needs no database and shows the request's id."""

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
