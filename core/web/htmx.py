"""Answers for requests that htmx makes."""

from __future__ import annotations

from django.http import HttpResponse


def redirect_page(url: str) -> HttpResponse:
    """Return an answer that takes the whole page to `url`: htmx would follow a redirect itself
    and put that page inside of this one.
    """
    return HttpResponse(status=204, headers={"HX-Redirect": url, "Vary": "HX-Request"})
