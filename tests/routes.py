"""Every route of the server, found in Django's URL patterns and in the gateway, for tests that open
all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver


@dataclass(frozen=True)
class Route:
    """One URL pattern. `path` is the template with {name} for each parameter, starting with a
    slash.
    """

    path: str
    name: str
    view: Any = field(repr=False, compare=False)
    parameters: tuple[str, ...] = ()

    @property
    def action(self) -> Any:
        """The action the view requires of a workspace's member, None where it names none."""
        return getattr(self.view, "required_actions", {}).get("GET")

    @property
    def api_view(self) -> Any:
        """The class behind a route of the REST API, else None."""
        return getattr(self.view, "cls", None)

    def url(self, values: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), self.path)


def _template(pattern: str) -> str:
    """`t/<slug:workspace>/` and `(?P<id>[^/]+)/$` both become `.../{name}/`."""
    text = re.sub(
        r"<(?:\w+:)?(\w+)>",
        r"{\1}",
        re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern),
    )
    return text.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\", "")


def routes(resolver: URLResolver, prefix: str = "/") -> Iterator[Route]:
    for one in resolver.url_patterns:
        path = prefix + _template(str(one.pattern))
        if isinstance(one, URLResolver):
            yield from routes(one, path)
        elif isinstance(one, URLPattern):
            yield Route(path, one.name or "", one.callback, tuple(re.findall(r"\{(\w+)\}", path)))


def pages(resolver: URLResolver) -> list[Route]:
    """What people open in a browser: everything but the REST API and the operators' site."""
    return [
        route
        for route in routes(resolver)
        if not route.path.startswith(("/api/", "/v1/", "/admin/", "/static/"))
    ]


def operations(resolver: URLResolver) -> list[Route]:
    """The REST API, and what Django answers under /v1."""
    return [route for route in routes(resolver) if route.path.startswith(("/api/", "/v1/"))]
