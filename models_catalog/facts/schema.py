"""Parse and validate model facts, and serialize them to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError
from models_catalog.resolution.entries import Facts, ImageRate, Price, Rates, Tier
from providers.declaration.spec import ListedModel, ModelType

MOST_MODELS = 5000  # of one provider
LARGEST = 1_000_000_000  # tokens; anything larger is a typo
RATES = (
    "input",
    "output",
    "cached_input",
    "cache_write",
    "thinking_output",
    "image_input",
    "image_output",
)
FLAT_RATES = ("per_minute", "per_million_characters", "per_image")
FIELDS = frozenset(
    {
        "type",
        "label",
        "context_window",
        "max_output",
        "max_inputs",
        "features",
        "parameters",
        "values",
        "price",
        "retired",
        "successor",
    }
)

# What a model supports or requires, for pages and wires. When facts are known, a wire never guesses
# features from a model's name.
FEATURES: Mapping[str, str] = {
    # input and output
    "vision": "accepts images in a chat message",
    "video": "accepts video in a chat message",
    "audio": "accepts audio in a chat message",
    "pdf": "accepts documents in a chat message",
    "tools": "calls functions",
    "json_schema": "answers by a JSON schema (response_format json_schema)",
    "json_object": "answers with JSON (response_format json_object)",
    "search": "searches the web by itself on request",
    "reasoning": "may think before it answers",
    # thinking
    "thinking": "thinking is switched on and off by the request",
    "thinking_by_default": "thinks unless the request switches it off; only beside `thinking`",
    "always_thinking": "always thinks: switching it off is refused",
    "adaptive_thinking": "decides how long to think, given an effort",
    "thinking_budget": "thinks up to a number of tokens",
    "thinking_stream_only": "thinks in streamed answers only",
    # required call style
    "stream_only": "responds only to streaming requests",
    "no_system": "does not accept system messages",
    "completion_only": "has no chat, only the completions endpoint",
    "edit_only": "changes images and makes none without one",
    "responses_only": "has no chat completions, only the Responses endpoint",
    "tools_responses_only": (
        "calls functions through the Responses endpoint only, unless reasoning is off"
    ),
    "plan_only": "is for subscribers of a plan; keys that pay by use are refused",
}
# Values read only by a provider's own wire, for hosts or paths that differ between models.
VALUES: Mapping[str, str] = {
    "version": "spark: path of the HTTP service, v1 or v2",
    "ws_path": "spark: path of the WebSocket service",
    "domain": "spark: the model's name at the WebSocket service",
    "endpoint": "wenxin: last part of the path of the older service (V1), such as completions_pro",
    "route": "which of its provider's services answers: asr_chat (tongyi), legacy (minimax)",
    "dimensions": "default length of an embedding",
}


class BadFact(ServiceError):
    """An invalid fact; `field` names it."""

    def __init__(self, field: str, message: Any) -> None:
        super().__init__("invalid_value", message, field=field)

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def expect_keys(name: str, value: Any, allowed: set[str]) -> None:
    if not isinstance(value, Mapping):
        raise BadFact(name, _("Must be an object."))
    for key in value:
        if key not in allowed:
            raise BadFact(name, _("Unknown key “%(key)s”.") % {"key": str(key)[:60]})


def parse(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parse JSON facts into arguments of Facts; None stays None.

    Raises:
        BadFact: A fact is unknown or invalid.
    """
    for name in values:
        if name not in FIELDS:
            raise BadFact(str(name)[:60], _("Unknown fact."))
    return {
        name: None if value is None else _PARSERS[name](name, value)
        for name, value in values.items()
    }


def stored(values: Mapping[str, Any], *, source: str = "", as_of: date | None = None) -> Facts:
    """Build Facts from a row's JSON.

    Values written by another version that no longer parse are skipped, so that pages still load.
    """
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        try:
            parsed |= parse({name: value})
        except BadFact:
            continue
    return Facts(**parsed, source=source, as_of=as_of)


def dump(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Convert arguments of Facts to JSON that `parse` accepts."""
    return {name: _plain(value) for name, value in facts.items() if value is not None}


def of_listed(listed: ListedModel) -> dict[str, Any]:
    """Return the facts in a provider's list entry as JSON, without the unknown ones."""
    facts: dict[str, Any] = {
        "type": listed.type.value if listed.type else None,
        "label": listed.label[:200] or None,
        "context_window": listed.context_window if _is_count(listed.context_window) else None,
        "max_output": listed.max_output if _is_count(listed.max_output) else None,
        "features": sorted(listed.features) if listed.features is not None else None,
        "retired": listed.retires if _is_date(listed.retires) else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def price_json(price: Price) -> dict[str, Any]:
    """Convert a price to the REST format: decimal strings per million tokens."""
    document: dict[str, Any] = {"currency": price.currency}
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
    return document


def _image_rate_json(rate: ImageRate) -> dict[str, str]:
    names = {"size": rate.size, "quality": rate.quality}
    return {name: text for name, text in names.items() if text} | {"amount": f"{rate.amount:f}"}


def _rates_json(rates: Rates) -> dict[str, str]:
    return {name: f"{value:f}" for name in RATES if (value := getattr(rates, name)) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Price):
        return price_json(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def _type(name: str, value: Any) -> ModelType:
    try:
        return ModelType(value)
    except (ValueError, TypeError):
        raise BadFact(name, _("Unknown model type.")) from None


def parse_text(name: str, value: Any) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > 200
        or not value.isprintable()
    ):
        raise BadFact(name, _("Must be a string of 1 to 200 characters."))
    return value.strip()


def _count(name: str, value: Any) -> int:
    if not _is_count(value):
        raise BadFact(name, _("Must be a whole number above 0; leave it out if unknown."))
    return int(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST


def _is_date(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _features(name: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset) or len(value) > 40:
        raise BadFact(name, _("Must be a list of feature names."))
    return frozenset(parse_text(name, item) for item in value)


def _values(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 20:
        raise BadFact(name, _("Must be an object that maps names to strings."))
    return {parse_text(name, key): parse_text(name, text) for key, text in value.items()}


def parse_parameters(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or len(value) > 60:
        raise BadFact(name, _("Must be an object that maps parameter names to rules."))
    return {parse_text(name, key): _rule(name, rule) for key, rule in value.items()}


def _rule(name: str, rule: Any) -> dict[str, Any]:
    allowed = {"min", "max", "default", "supported", "with_effort_none"}
    if not isinstance(rule, Mapping) or set(rule) - allowed:
        raise BadFact(
            name, _("A rule may only have min, max, default, supported and with_effort_none.")
        )
    for key in ("min", "max"):
        if key in rule and not _is_number(rule[key]):
            raise BadFact(name, _("min and max must be numbers."))
    if isinstance(rule.get("default"), str):
        parse_text(name, rule["default"])
    elif not isinstance(rule.get("default", True), bool) and not _is_number(rule["default"]):
        raise BadFact(name, _("default must be a number, a boolean or a string."))
    for key in ("supported", "with_effort_none"):
        if not isinstance(rule.get(key, True), bool):
            raise BadFact(name, _("supported and with_effort_none must be true or false."))
    return {key: float(item) if isinstance(item, Decimal) else item for key, item in rule.items()}


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | Decimal)
        and not isinstance(value, bool)
        and -LARGEST <= value <= LARGEST
    )


def day(name: str, value: Any) -> date:
    """Parse a date, or a string such as "2026-11-30".

    Raises:
        BadFact: The value is not a date.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not _is_date(value):
        raise BadFact(name, _("Must be a date such as 2026-11-30."))
    return date.fromisoformat(value)


def _price(name: str, value: Any) -> Price:
    allowed = {"currency", "tiers", "free", "images", *RATES, *FLAT_RATES}
    if not isinstance(value, Mapping) or set(value) - allowed:
        raise BadFact(
            name,
            _(
                "A price may only have currency, input, output, cached_input, cache_write, "
                "thinking_output, image_input, image_output, per_minute, per_million_characters, "
                "per_image, images, tiers and free."
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
    return price


def _tier(name: str, value: Any) -> Tier:
    if not isinstance(value, Mapping) or set(value) - {"above", *RATES}:
        raise BadFact(
            name,
            _(
                "A tier may only have above, input, output, cached_input, cache_write, "
                "thinking_output, image_input and image_output."
            ),
        )
    return Tier(_count(name, value.get("above")), _rates(name, value))


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


_PARSERS: Mapping[str, Any] = {
    "type": _type,
    "label": parse_text,
    "context_window": _count,
    "max_output": _count,
    "max_inputs": _count,
    "features": _features,
    "parameters": parse_parameters,
    "values": _values,
    "price": _price,
    "retired": day,
    "successor": parse_text,
}
