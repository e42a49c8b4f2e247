"""What templates of all pages need: addresses of the workspace, icons, numbers, meters."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

register = template.Library()

SECTIONS = {
    **dict.fromkeys(("usage-calls", "usage-call"), "usage"),
    **dict.fromkeys(("playground-embeddings", "playground-speech", "playground-rerank"), "playground"),
    **dict.fromkeys(("member-invite", "member-remove"), "members"),
    **dict.fromkeys(("key-pair-rotate", "key-pair-progress", "workspace-leave", "workspace-close"), "workspace"),
    **dict.fromkeys(("app-key-new", "app-key-revoke", "app-key-rotate"), "app-keys"),
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
WARN_AT, BAD_AT = 80, 95  # percent of a quota


@register.filter
def num(value: Any) -> str:
    """A number with groups of three, the same in every language; unknown is a dash.

    (`intcomma` leaves the groups out for zh-hans.)
    """
    if value is None or value == "":
        return "–"
    return f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)


@register.filter
def timesince_short(moment: datetime | None) -> str:
    """How long ago, in one unit: "3 hours ago", "just now"."""
    if moment is None:
        return "–"
    if (timezone.now() - moment).total_seconds() < 60:
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def timeuntil_short(moment: datetime) -> str:
    """How long until then, in one unit: "12 days"."""
    return timeuntil(moment, depth=1)


@register.filter
def seconds(milliseconds: int | None) -> str:
    """A duration for people: 340 ms, 1.2 s; unknown is a dash."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """light, dark, or "" for the system's choice: rendered by the server, so that no page flashes."""
    request = context.get("request")
    value = request.COOKIES.get("theme", "") if request else ""
    return value if value in ("light", "dark") else ""


@register.simple_tag(takes_context=True)
def section(context: template.Context) -> str:
    """The entry of the navigation that the current page belongs to."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    name = match.url_name or "" if match else ""
    return SECTIONS.get(name, name)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key)


@register.simple_tag(takes_context=True)
def wurl(context: template.Context, name: str, **kwargs: Any) -> str:
    """The address of a page of the current workspace."""
    return reverse(name, kwargs={"workspace": context["request"].tenant.slug, **kwargs})


@register.simple_tag
def icon(name: str) -> SafeString:
    """A decorative icon of the sprite; the words beside it carry the meaning."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("icons.svg"), name)


@register.simple_tag
def icon_inline(name: str) -> SafeString:
    """An icon inside running text."""
    return format_html('<svg class="icon inline" aria-hidden="true"><use href="{}#{}"></use></svg>', static("icons.svg"), name)


@register.inclusion_tag("components/meter.html")
def meter(used: int, limit: int, label: str = "", held: int = 0) -> dict[str, Any]:
    """A quota bar as SVG: inline styles are blocked by the content security policy."""
    total = max(limit, 1)
    share = min(100.0, 100 * used / total)
    return {
        "label": label,
        "used": used,
        "limit": limit,
        "width": f"{share:.1f}",
        "held_width": f"{min(100.0 - share, 100 * held / total):.1f}",
        "held_start": f"{share:.1f}",
        "tone": tone_of(share),
        "text": _("%(used)s of %(limit)s used") % {"used": num(used), "limit": num(limit)},
    }


def tone_of(percent: float) -> str:
    """The tone of a quota: "" below 80 %, warn from there, bad from 95 %."""
    if percent >= BAD_AT:
        return "bad"
    return "warn" if percent >= WARN_AT else ""


@register.inclusion_tag("components/note.html")
def note(tone: str, title: Any, text: Any = "", icon: str = "") -> dict[str, Any]:
    icons = {"ok": "check", "warn": "warn", "bad": "error"}
    return {"tone": tone, "title": title, "text": text, "icon": icon or icons.get(tone, "info")}


@register.inclusion_tag("components/field.html")
def field(bound: Any, link: str = "", link_text: Any = "") -> dict[str, Any]:
    return {"field": bound, "kind": getattr(bound.field.widget, "input_type", ""), "link": link, "link_text": link_text}


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The query string of the current page with some values changed; empty ones are left out."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        values[name] = value
    for name in [name for name in values if values[name] in ("", None)]:
        del values[name]
    return f"?{values.urlencode()}" if values else "?"
