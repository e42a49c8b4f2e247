"""Responses to htmx requests."""

from __future__ import annotations

from django.http import HttpResponse


def redirect_page(url: str) -> HttpResponse:
    """Redirect the whole page to `url`.

    htmx would follow an ordinary redirect itself and swap the new page into the current one.
    """
    return HttpResponse(status=204, headers={"HX-Redirect": url, "Vary": "HX-Request"})
