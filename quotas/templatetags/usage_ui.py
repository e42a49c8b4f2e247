"""Template filters and tags that format usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import template
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from core import error_codes
from core.templatetags.ui import num
from quotas import ports
from quotas.ledger import pricing

register = template.Library()
NBSP: Final = "\u00a0"
THOUSANDS: Final = ((10**9, "G"), (10**6, "M"), (10**3, "K"))
MYRIADS: Final = ((10**8, "亿"), (10**4, "万"))
MOST_PERCENT = 999  # a larger change says little: usage had only just begun


@register.filter
def compact(value: int) -> str:
    """Abbreviate numbers from 100,000: 123 K, 4.1 M, or 12.3 万, 4.1 亿 in Chinese."""
    if value >= 100_000:
        for size, sign in MYRIADS if (get_language() or "").startswith("zh") else THOUSANDS:
            if value >= size:
                return (
                    f"{value / size:.1f} {sign}"
                    if value < 10 * size
                    else f"{value / size:.0f} {sign}"
                )
    return num(value)


@register.simple_tag
def change(now: int | Decimal, before: int | Decimal) -> str:
    """Return the percentage change from the previous period; "" without a meaningful basis."""
    if not before:
        return ""
    percent = round(100 * (now - before) / before)
    if percent > MOST_PERCENT:
        return ""
    return f"{'+' if percent > 0 else '−' if percent < 0 else '±'}{abs(percent):,} %"


@register.filter
def costs(rows: Any) -> str:
    """Format the total cost per currency, excluding unpriced calls."""
    return " + ".join(money(_rounded(cost.amount), cost.currency) for cost in rows) or "–"


@register.filter
def amount(value: Decimal | None) -> str:
    return "–" if value is None else _rounded(value)


@register.simple_tag
def price(value: Decimal, currency: str) -> str:
    """Format the cost of a call."""
    return money(_rounded(value), currency)


def money(figure: str, currency: str) -> str:
    """Format an amount with its currency in the reader's language, or else the currency code."""
    if currency == "USD":
        return pgettext("currency", "%(amount)s USD") % {"amount": figure}
    if currency == "CNY":
        return pgettext("currency", "%(amount)s CNY") % {"amount": figure}
    return f"{figure} {currency}"


def _rounded(value: Decimal) -> str:
    """Round to cents from 1 up, to three significant digits below: small costs stay visible."""
    if not value:
        return "0"
    if value >= 1:
        return f"{value:,.2f}"
    text = pricing.plain(round(value, 2 - value.adjusted()))
    return text.ljust(len("0.00"), "0") if "." in text else f"{text}.00"


@register.filter
def served_by(source: str) -> str:
    kind, _colon, name = source.partition(":")
    if kind == "trial":
        return pgettext("calls", "Trial")
    return name or "–"


@register.filter
def tokens(record: Any) -> str:
    if record.prompt_tokens is None and record.completion_tokens is None:
        return "–"
    text = f"{num(record.prompt_tokens)} + {num(record.completion_tokens)}"
    return (
        _("%(tokens)s (estimated)") % {"tokens": text}
        if record.usage_source == "estimated"
        else text
    )


@register.filter
def unbroken(text: str) -> str:
    """Keep numbers and units together: allow breaks only around plus signs and before brackets."""
    return text.replace(" ", NBSP).replace(f"{NBSP}+{NBSP}", " + ").replace(f"{NBSP}(", " (")


@register.filter
def provider_name(slug: str) -> str:
    """Return the provider's display name, or its slug if it no longer exists."""
    return str(ports.provider_label(slug) or slug)


@register.filter
def error_words(code: str) -> error_codes.ErrorCode:
    """Describe the error code of a failed call."""
    return error_codes.describe(code)


@register.filter
def get_field(form: Any, name: str) -> Any:
    """Return a form's bound field by name."""
    return form[name]
