"""Spell out what a call cost: each quantity with its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from core.templatetags.ui import num
from quotas.ledger import pricing
from quotas.ledger.pricing import Bill, Charge
from quotas.templatetags.usage_ui import money

LABELS: Final[Mapping[str, Any]] = {
    "input": pgettext_lazy("bill", "Tokens in"),
    "cached": pgettext_lazy("bill", "Tokens from the cache"),
    "cache_write": pgettext_lazy("bill", "Tokens written to the cache for minutes"),
    "cache_write_1h": pgettext_lazy("bill", "Tokens written to the cache for an hour"),
    "audio_input": pgettext_lazy("bill", "Tokens of audio in"),
    "image_input": pgettext_lazy("bill", "Tokens of images in"),
    "output": pgettext_lazy("bill", "Tokens out"),
    "audio_output": pgettext_lazy("bill", "Tokens of audio out"),
    "image_output": pgettext_lazy("bill", "Tokens of images out"),
    "seconds": pgettext_lazy("bill", "Seconds of audio"),
    "characters": pgettext_lazy("bill", "Characters"),
    "images": pgettext_lazy("bill", "Images"),
    "tool:web_search": pgettext_lazy("bill", "Web searches"),
}
UNITS: Final[Mapping[int, Any]] = {
    1: pgettext_lazy("price for", "%(amount)s each"),
    pricing.SECONDS_PER_MINUTE: pgettext_lazy("price for", "%(amount)s a minute"),
    pricing.MILLION: pgettext_lazy("price for", "%(amount)s a million"),
}


@dataclass(frozen=True, slots=True)
class CostLine:
    """A part of the cost, as texts; `price` and `cost` are "" if unknown."""

    label: str
    quantity: str
    price: str
    cost: str


def lines_of(bill: Bill, currency: str) -> list[CostLine]:
    return [_line(charge, currency) for charge in bill.charges if charge.quantity != 0]


def _line(charge: Charge, currency: str) -> CostLine:
    cost = charge.cost
    price = "" if charge.price is None else money(pricing.plain(charge.price), currency)
    return CostLine(
        label=label_of(charge.what),
        quantity=_quantity(charge.quantity),
        price=str(UNITS[charge.per]) % {"amount": price} if price else "",
        cost="" if cost is None else money(pricing.plain(pricing.rounded(cost)), currency),
    )


def label_of(part: str) -> str:
    """Return the name of a part of a bill."""
    label = LABELS.get(part)
    tool = part.removeprefix("tool:")
    return str(label) if label else _("Uses of %(tool)s") % {"tool": tool}


def _quantity(value: int | Decimal | None) -> str:
    if value is None:
        return pgettext("quantity", "unknown")
    return num(value) if isinstance(value, int) else pricing.plain(value)
