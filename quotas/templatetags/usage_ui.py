"""How templates write figures of usage."""

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
MOST_PERCENT = 999  # more than this compares with a start, not with a period


@register.filter
def compact(value: int) -> str:
    """12,482 as it is; from a hundred thousand on 123 K, 4.1 M; where people count in ten thousands
    12.3 万, 4.1 亿.
    """
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
    """The change against the period before, in percent; empty where there is little to compare
    with.
    """
    if not before:
        return ""
    percent = round(100 * (now - before) / before)
    if percent > MOST_PERCENT:
        return ""
    return f"{'+' if percent > 0 else '−' if percent < 0 else '±'}{abs(percent):,} %"


@register.filter
def costs(rows: Any) -> str:
    """Sums per currency; what is unpriced is in none of them."""
    return " + ".join(money(_rounded(cost.amount), cost.currency) for cost in rows) or "–"


@register.filter
def amount(value: Decimal | None) -> str:
    return "–" if value is None else _rounded(value)


@register.simple_tag
def price(value: Decimal, currency: str) -> str:
    """What one call cost."""
    return money(_rounded(value), currency)


def money(figure: str, currency: str) -> str:
    """An amount with its currency as the reader's language writes it. The code stays where there is
    no word for it.
    """
    if currency == "USD":
        return pgettext("currency", "%(amount)s USD") % {"amount": figure}
    if currency == "CNY":
        return pgettext("currency", "%(amount)s CNY") % {"amount": figure}
    return f"{figure} {currency}"


def _rounded(value: Decimal) -> str:
    """Cents from 1 on; below it three digits that count, so that what a short call costs is not
    shown as nothing.
    """
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
    """Numbers stay beside what they count: a line is broken only around the plus between two of
    them, and before a bracket.
    """
    return text.replace(" ", NBSP).replace(f"{NBSP}+{NBSP}", " + ").replace(f"{NBSP}(", " (")


@register.filter
def provider_name(slug: str) -> str:
    """A provider's name for people; its slug where it is not there any more."""
    return str(ports.provider_label(slug) or slug)


@register.filter
def error_words(code: str) -> error_codes.ErrorCode:
    """What a code of a failed call means."""
    return error_codes.describe(code)


@register.filter
def get_field(form: Any, name: str) -> Any:
    """A form's bound field by its name."""
    return form[name]
