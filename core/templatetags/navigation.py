"""Template tags for workspace URLs, the current section and the theme."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse

register = template.Library()

SECTIONS = {
    **dict.fromkeys(("usage-calls", "usage-call"), "usage"),
    **dict.fromkeys(
        ("playground-embeddings", "playground-speech", "playground-images", "playground-rerank"),
        "playground",
    ),
    **dict.fromkeys(("member-invite", "member-rates", "member-remove"), "members"),
    **dict.fromkeys(
        ("key-pair-rotate", "key-pair-progress", "workspace-leave", "workspace-close"), "workspace"
    ),
    **dict.fromkeys(
        ("app-key-new", "app-key-change", "app-key-revoke", "app-key-rotate"), "app-keys"
    ),
    **dict.fromkeys(
        (
            "provider-setup",
            "provider-credentials",
            "provider-models",
            "provider-activity",
            "credential-edit",
            "credential-delete",
            "credential-import",
            "model-add",
            "model-delete",
            "model-detail",
        ),
        "provider-list",
    ),
}


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Return light, dark, or "" for the system's choice; set by the server to avoid a flash."""
    request = context.get("request")
    value = request.COOKIES.get("theme", "") if request else ""
    return value if value in ("light", "dark") else ""


@register.simple_tag(takes_context=True)
def section(context: template.Context) -> str:
    """Return the navigation entry that the current page belongs to."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    name = match.url_name or "" if match else ""
    return SECTIONS.get(name, name)


@register.simple_tag(takes_context=True)
def wurl(context: template.Context, name: str, **kwargs: Any) -> str:
    """Return the URL of a page in the current workspace."""
    return reverse(name, kwargs={"workspace": context["request"].tenant.slug, **kwargs})


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Return the current query string with some values changed and empty ones removed."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        values[name] = value
    for name in [name for name in values if values[name] in ("", None)]:
        del values[name]
    return f"?{values.urlencode()}" if values else "?"
