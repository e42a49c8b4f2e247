"""Parse list prices, and serialize them to JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_catalog.facts.values import BadFact, parse_count, parse_text, parse_time
from models_catalog.resolution.entries import ImageRate, Price, Rates, Tier

RATES = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "thinking_output",
    "image_input",
    "image_output",
    "cache_write_1h",
    "audio_input",
    "audio_output",
)
FLAT_RATES = ("per_minute", "per_million_characters", "per_image")
VERSION_LENGTH = 16  # characters of a version's id
# What a price depends on besides the amount: names -> amounts or factors.
MODIFIERS = ("tools", "service_tiers", "regions")


def price_json(price: Price) -> dict[str, Any]:
    """Convert a price to the REST format: decimal strings per million tokens."""
    document: dict[str, Any] = {"currency": price.currency}
    if price.since is not None:
        document["since"] = price.since.isoformat()
    if price.is_free:
        document["free"] = True
    document |= _rates_json(price.rates)
    document |= {
        name: f"{value:f}" for name in FLAT_RATES if (value := getattr(price, name)) is not None
    }
    if price.images:
        document["images"] = [_image_rate_json(rate) for rate in price.images]
    if price.tiers:
        document["tiers"] = [
            {"above": tier.above} | _rates_json(tier.rates) for tier in price.tiers
        ]
    for name in MODIFIERS:
        if amounts := getattr(price, name):
            document[name] = {key: f"{value:f}" for key, value in sorted(amounts.items())}
    return document


def _image_rate_json(rate: ImageRate) -> dict[str, str]:
    names = {"size": rate.size, "quality": rate.quality}
    return {name: text for name, text in names.items() if text} | {"amount": f"{rate.amount:f}"}


def _rates_json(rates: Rates) -> dict[str, str]:
    return {name: f"{value:f}" for name in RATES if (value := getattr(rates, name)) is not None}


def parse_price(name: str, value: Any) -> Price:
    allowed = {"currency", "since", "tiers", "free", "images", *RATES, *FLAT_RATES, *MODIFIERS}
    if not isinstance(value, Mapping) or set(value) - allowed:
        raise BadFact(
            name,
            _(
                "A price may only have currency, input, output, cached_input, cache_write, "
                "cache_write_1h, thinking_output, image_input, image_output, audio_input, "
                "audio_output, per_minute, per_million_characters, per_image, images, tiers, "
                "tools, service_tiers, regions, since and free."
            ),
        )
    currency = value.get("currency")
    if (
        not isinstance(currency, str)
        or len(currency) != 3
        or not (currency.isascii() and currency.isalpha() and currency.isupper())
    ):
        raise BadFact(name, _("A price needs a currency of three capital letters, such as USD."))
    free = value.get("free", False)
    price = Price(
        currency=currency,
        rates=_rates(name, value),
        tiers=tuple(_tier(name, tier) for tier in _list(name, value.get("tiers", []))),
        per_minute=_amount(name, value.get("per_minute")),
        per_million_characters=_amount(name, value.get("per_million_characters")),
        per_image=_amount(name, value.get("per_image")),
        images=tuple(_image_rate(name, rate) for rate in _list(name, value.get("images", []))),
        is_free=free is True,
        since=None if value.get("since") is None else parse_time(name, value["since"]),
        tools=_amounts(name, value.get("tools", {})),
        service_tiers=_amounts(name, value.get("service_tiers", {})),
        regions=_amounts(name, value.get("regions", {})),
    )
    has_amount = (
        price.rates != Rates()
        or any(getattr(price, flat) is not None for flat in FLAT_RATES)
        or bool(price.images)
    )
    if not isinstance(free, bool) or has_amount == price.is_free:
        raise BadFact(
            name,
            _("Enter at least one amount above 0, or set free. Leave the price out if unknown."),
        )
    if [tier.above for tier in price.tiers] != sorted({tier.above for tier in price.tiers}):
        raise BadFact(name, _("Sort tiers by their number of tokens, without duplicates."))
    return replace(price, version=version_of(price))


def version_of(price: Price) -> str:
    """Return the id of a version: the same for the same amounts since the same time, for ever."""
    text = json.dumps(price_json(price), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_LENGTH]


def parse_earlier(name: str, value: Any) -> tuple[Price, ...]:
    """Parse the versions before a price, newest first."""
    prices = tuple(parse_price(name, document) for document in _list(name, value))
    begun = [price.since for price in prices]
    if None in begun[:-1] or begun[: len(begun) - 1] != sorted(
        (since for since in begun[:-1] if since), reverse=True
    ):
        raise BadFact(name, _("List earlier prices from the newest to the oldest, with since."))
    return prices


def _tier(name: str, value: Any) -> Tier:
    if not isinstance(value, Mapping) or set(value) - {"above", *RATES}:
        raise BadFact(
            name,
            _(
                "A tier may only have above, input, output, cached_input, cache_write, "
                "cache_write_1h, thinking_output, image_input, image_output, audio_input and "
                "audio_output."
            ),
        )
    return Tier(parse_count(name, value.get("above")), _rates(name, value))


def _image_rate(name: str, value: Any) -> ImageRate:
    if not isinstance(value, Mapping) or set(value) - {"size", "quality", "amount"}:
        raise BadFact(name, _("The price of an image may only have size, quality and amount."))
    amount = _amount(name, value.get("amount"))
    if amount is None:
        raise BadFact(name, _("The price of an image needs an amount."))
    texts = {key: parse_text(name, value[key]) for key in ("size", "quality") if key in value}
    return ImageRate(amount, **texts)


def _rates(name: str, value: Mapping[str, Any]) -> Rates:
    return Rates(**{rate: _amount(name, value.get(rate)) for rate in RATES})


def _amounts(name: str, value: Any) -> dict[str, Decimal]:
    if not isinstance(value, Mapping) or len(value) > 20:
        raise BadFact(name, _("Tools, service tiers and regions must map names to amounts."))
    return {
        parse_text(name, key): amount
        for key, text in value.items()
        if (amount := _amount(name, text)) is not None
    }


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > 20:
        raise BadFact(name, _("Tiers and prices of images must be lists of at most twenty."))
    return value


def _amount(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadFact(name, _('An amount must be a decimal number in quotes, such as "2.50".'))
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise BadFact(
            name, _('An amount must be a decimal number in quotes, such as "2.50".')
        ) from None
    if not amount.is_finite() or not 0 < amount <= 1_000_000:
        raise BadFact(
            name, _("An amount must be above 0 and at most a million; leave it out if unknown.")
        )
    return amount
