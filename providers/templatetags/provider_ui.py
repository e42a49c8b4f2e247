"""How templates draw a provider: its logo or two letters."""

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
_known: dict[str, bool] = {}


@register.inclusion_tag("components/logo.html")
def logo(slug: str, label: Any, size: str = "") -> dict[str, Any]:
    """Show the provider's logo on a light tile; without one, or with brand logos switched off, two
    letters of its name.
    """
    own = slug in ("demo", "openai_compatible")
    return {
        "path": f"providers/{slug}.svg"
        if (settings.MODELKEEP_BRAND_LOGOS or own) and _has_logo(slug)
        else "",
        "letters": _letters(str(label)),
        "size": size,
    }


def _has_logo(slug: str) -> bool:
    if slug not in _known:
        found = (
            finders.find(f"providers/{slug}.svg")
            or Path(settings.STATIC_ROOT, f"providers/{slug}.svg").is_file()
        )
        _known[slug] = bool(found)
    return _known[slug]


def _letters(label: str) -> str:
    words = [
        word for word in label.replace("(", " ").replace("-", " ").split() if word[:1].isalnum()
    ]
    return (words[0][0] + words[1][0] if len(words) > 1 else label[:2]).upper() if words else "–"


_INNER_SPACE = re.compile(r"(?<!,) ")


@register.simple_tag(takes_context=True)
def try_url(context: template.Context, entry: Any) -> str:
    """Where a model can be tried; "" where there is no page for its type, or the person may not."""
    name = MODEL_TYPES[entry.type].playground if entry.type else ""
    if not name or not context["can"].get("use_models", True):
        return ""
    try:
        address = reverse(name, kwargs={"workspace": context["request"].tenant.slug})
    except NoReverseMatch:
        return ""
    return f"{address}?{urlencode({'model': entry.id})}"


@register.filter
def type_label(value: Any) -> Any:
    try:
        return MODEL_TYPES[ModelType(value)].label
    except ValueError:
        return value or "–"


@register.filter
def lasting(moment: datetime | None) -> str:
    """How long a state has lasted, in one unit: "for 3 days"."""
    if moment is None:
        return ""
    if (timezone.now() - moment).total_seconds() < 60:
        return _("just now")
    return _("for %(time)s") % {"time": timesince(moment, depth=1)}


@register.filter
def used_on(moment: datetime | None) -> str:
    """The day of a last use in the reader's time zone: "today", "yesterday", "12 Nov", "12 Nov
    2025", "never".
    """
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
    """The features that matter to people who choose a model, in words; what only wires want to know
    is left out.
    """
    return ", ".join(str(label) for name, label in _FEATURE_LABELS.items() if name in features)


@register.filter
def price(value: Any) -> str:
    """A list price: "$2.50 in, $10 out"; unknown is a dash, free is said."""
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
    if value.input is not None and value.output is not None:
        text = _("%(input)s in, %(output)s out") % {
            "input": money(value.input),
            "output": money(value.output),
        }
        return _INNER_SPACE.sub("\u00a0", text)  # breaks between the two only
    known = value.input if value.input is not None else value.output
    return money(known) if known is not None else "–"


def _money(currency: str, amount: Decimal) -> str:
    text = f"{amount.normalize():f}"
    if len(text.partition(".")[2]) == 1:
        text += "0"
    sign = {"USD": "$", "CNY": "¥", "EUR": "€"}.get(currency)
    return f"{sign}{text}" if sign else f"{text} {currency}"
