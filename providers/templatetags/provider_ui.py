"""Template tags and filters for providers, model types and prices."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from providers.declaration.spec import ModelType
from providers.operations.table import MODEL_TYPES

register = template.Library()
_logos: dict[str, bool] = {}


@register.inclusion_tag("components/logo.html")
def logo(slug: str, label: Any, size: str = "") -> dict[str, Any]:
    """Show the provider's logo, or two letters of its name.

    Letters are shown if there is no logo, or if brand logos are switched off.
    """
    is_generic = slug in ("demo", "openai_compatible")
    return {
        "path": f"providers/{slug}.svg"
        if (settings.MODELKEEP_BRAND_LOGOS or is_generic) and _has_logo(slug)
        else "",
        "letters": _letters(str(label)),
        "size": size,
    }


def _has_logo(slug: str) -> bool:
    if slug not in _logos:
        path = (
            finders.find(f"providers/{slug}.svg")
            or Path(settings.STATIC_ROOT, f"providers/{slug}.svg").is_file()
        )
        _logos[slug] = bool(path)
    return _logos[slug]


def _letters(label: str) -> str:
    words = [
        word for word in label.replace("(", " ").replace("-", " ").split() if word[:1].isalnum()
    ]
    return (words[0][0] + words[1][0] if len(words) > 1 else label[:2]).upper() if words else "–"


_INNER_SPACE = re.compile(r"(?<!,) ")


@register.simple_tag(takes_context=True)
def try_url(context: template.Context, entry: Any) -> str:
    """Return the playground URL of a model; empty if there is none or it is not allowed."""
    name = MODEL_TYPES[entry.type].playground if entry.type else ""
    if not name or not context["can"].get("use_models", True):
        return ""
    try:
        url = reverse(name, kwargs={"workspace": context["request"].tenant.slug})
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode({'model': entry.id})}"


@register.filter
def type_label(value: Any) -> Any:
    try:
        return MODEL_TYPES[ModelType(value)].label
    except ValueError:
        return value or "–"


@register.filter
def lasting(moment: datetime | None) -> str:
    """Return how long a state has lasted, in one unit: "for 3 days"."""
    if moment is None:
        return ""
    if (timezone.now() - moment).total_seconds() < 60:
        return _("just now")
    return _("for %(time)s") % {"time": timesince(moment, depth=1)}


@register.filter
def used_on(moment: datetime | None) -> str:
    """Return the day of the last use in the reader's time zone: "today", "12 Nov", "never"."""
    if moment is None:
        return pgettext("last used", "never")
    day, today = timezone.localdate(moment), timezone.localdate()
    if day >= today:
        return pgettext("last used", "today")
    if day == today - timedelta(days=1):
        return pgettext("last used", "yesterday")
    short = day.year == today.year
    return date_format(
        day,
        pgettext("format of a day in this year", "j M")
        if short
        else pgettext("format of a day", "j M Y"),
    )


_FEATURE_LABELS: dict[str, Any] = {
    "vision": pgettext_lazy("model feature", "images"),
    "tools": pgettext_lazy("model feature", "tools"),
    "json_schema": pgettext_lazy("model feature", "JSON schema"),
    "reasoning": pgettext_lazy("model feature", "thinking"),
    "audio": pgettext_lazy("model feature", "audio"),
}


@register.filter
def feature_list(features: Any) -> str:
    """Return the labels of the features that matter when choosing a model."""
    return ", ".join(str(label) for name, label in _FEATURE_LABELS.items() if name in features)


@register.filter
def price(value: Any) -> str:
    """Return a list price: "$2.50 in, $10 out", "free", or a dash if it is unknown."""
    if value is None:
        return "–"
    if value.is_free:
        return _("free")
    money = partial(_money, value.currency)
    if value.per_minute is not None:
        return _("%(amount)s a minute") % {"amount": money(value.per_minute)}
    if value.per_million_characters is not None:
        return _("%(amount)s for a million characters") % {
            "amount": money(value.per_million_characters)
        }
    if (amounts := value.amounts_per_image) is not None:
        least, most = amounts
        if least == most:
            return _("%(amount)s an image") % {"amount": money(least)}
        span = {"least": money(least), "most": money(most)}
        return _("%(least)s to %(most)s an image") % span
    if value.input is not None and value.output is not None:
        text = _("%(input)s in, %(output)s out") % {
            "input": money(value.input),
            "output": money(value.output),
        }
        return _INNER_SPACE.sub("\u00a0", text)  # allow line breaks only between the two
    amount = value.input if value.input is not None else value.output
    return money(amount) if amount is not None else "–"


def _money(currency: str, amount: Decimal) -> str:
    text = f"{amount.normalize():f}"
    if len(text.partition(".")[2]) == 1:
        text += "0"
    sign = {"USD": "$", "CNY": "¥", "EUR": "€"}.get(currency)
    return f"{sign}{text}" if sign else f"{text} {currency}"
