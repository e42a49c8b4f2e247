"""OpenAI's list of models, with what gateways and pickers of models add to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from gateway.dataplane.errors import bad_request
from models_catalog.facts.prices import MODIFIERS
from models_catalog.resolution.entries import MILLION, Entry, ImageRate, Price, Rates
from providers.declaration.spec import ModelType

Object = dict[str, Any]
_DAY_IN_NAME: Final = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")
_RATES: Final = (
    *("input", "output", "cached_input", "cache_write"),
    *("image_input", "image_output", "cache_write_1h", "audio_input", "audio_output"),
)


class OpenAIModels:
    """Describes models in OpenAI's form. The list has no pages."""

    def object(self, entry: Entry) -> Object:
        return {
            "id": entry.id,
            "object": "model",
            "created": int(created(entry).timestamp()),
            "owned_by": entry.provider,
            "type": entry.type.value if entry.type else None,
            "name": entry.label,
            "context_window": entry.context_window,
            "max_output_tokens": entry.max_output,
            "features": sorted(entry.features),
            "pricing": _pricing(entry.price) if entry.price else None,
            "retires": entry.retired.isoformat() if entry.retired else None,
        }

    def page(self, entries: Sequence[Entry], query: str) -> bytes:
        """Return the list.

        Args:
            entries: Those that can be called; retired ones are left out unless they are asked for,
                and come last.
            query: May hold `type`, `provider` and `include`.

        Raises:
            Refusal: 400 for an unknown type.
        """
        asked = parse_qs(query)
        types, providers = _listed(asked, "type"), _listed(asked, "provider")
        if not set(types) <= set(ModelType):
            raise bad_request(f"type must be one of {', '.join(ModelType)}.", "type")
        with_retired = "retired" in _listed(asked, "include")
        chosen = [
            entry
            for entry in entries
            if (not types or entry.type in types)
            and (not providers or entry.provider in providers)
            and (with_retired or not entry.is_retired)
        ]
        chosen.sort(key=lambda entry: entry.is_retired)
        data = [self.object(entry) for entry in chosen]
        return orjson.dumps({"object": "list", "data": data})


def _listed(asked: Mapping[str, list[str]], name: str) -> list[str]:
    return [item.strip() for value in asked.get(name, ()) for item in value.split(",")]


def created(entry: Entry) -> datetime:
    """Return the day in the model's name, or else that on which the catalog learned of it."""
    day = _day_in(entry.model) or entry.since or date(2026, 1, 1)
    return datetime.combine(day, time(), UTC)


def _day_in(name: str) -> date | None:
    if (found := _DAY_IN_NAME.search(name)) is None:
        return None
    try:
        day = date(*map(int, found.groups()))
    except ValueError:
        return None
    return day if day <= date.today() else None


def _pricing(price: Price) -> Object:
    """Return prices for one token, character, minute or image, as texts that lose no digits."""
    pricing: Object = {"currency": price.currency}
    if price.is_free:
        return pricing | {"input": "0", "output": "0"}
    pricing |= _per_token(price.rates)
    if price.per_minute is not None:
        pricing["per_minute"] = _text(price.per_minute)
    if price.per_million_characters is not None:
        pricing["per_character"] = _text(price.per_million_characters / MILLION)
    if price.per_image is not None:
        pricing["per_image"] = _text(price.per_image)
    if price.images:
        pricing["images"] = [_per_image(rate) for rate in price.images]
    for name in MODIFIERS:
        if amounts := getattr(price, name):
            pricing[name] = {key: _text(amount) for key, amount in amounts.items()}
    if price.tiers:
        pricing["tiers"] = [{"above": tier.above} | _per_token(tier.rates) for tier in price.tiers]
    return pricing


def _per_image(rate: ImageRate) -> Object:
    names = {"size": rate.size, "quality": rate.quality}
    return {name: text for name, text in names.items() if text} | {"amount": _text(rate.amount)}


def _per_token(rates: Rates) -> Object:
    return {
        name: _text(rate / MILLION) for name in _RATES if (rate := getattr(rates, name)) is not None
    }


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"
