"""Template tags for icons, numbers, notes, meters and form fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()
WARN_AT, BAD_AT = 80, 95  # percent of a quota


@register.filter
def num(value: Any) -> str:
    """Format a number with thousands separators; a dash if unknown.

    `intcomma` omits the separators for zh-hans.
    """
    if value is None or value == "":
        return "–"
    return f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Render a decorative icon from the sprite, hidden from screen readers."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("icons.svg"),
        name,
    )


@register.simple_tag
def icon_inline(name: str) -> SafeString:
    """Render an icon inside running text."""
    return format_html(
        '<svg class="icon inline" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("icons.svg"),
        name,
    )


@register.inclusion_tag("components/meter.html")
def meter(used: int, limit: int, label: str = "", held: int = 0) -> dict[str, Any]:
    """Render a quota bar as SVG, because the content security policy blocks inline styles."""
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
    """Return the tone of a quota: "" below 80 %, "warn" from 80 %, "bad" from 95 %."""
    if percent >= BAD_AT:
        return "bad"
    return "warn" if percent >= WARN_AT else ""


@register.inclusion_tag("components/note.html")
def note(tone: str, title: Any, text: Any = "", icon: str = "") -> dict[str, Any]:
    icons = {"ok": "check", "warn": "warn", "bad": "error"}
    return {"tone": tone, "title": title, "text": text, "icon": icon or icons.get(tone, "info")}


@register.inclusion_tag("components/field.html")
def field(bound: Any, link: str = "", link_text: Any = "") -> dict[str, Any]:
    return {
        "field": bound,
        "kind": getattr(bound.field.widget, "input_type", ""),
        "link": link,
        "link_text": link_text,
    }
