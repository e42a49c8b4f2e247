"""Parse and validate model facts, and serialize them to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_catalog.facts.prices import parse_earlier, parse_price, price_json
from models_catalog.facts.values import (
    LARGEST,
    BadFact,
    day,
    is_count,
    is_date,
    parse_count,
    parse_text,
)
from models_catalog.resolution.entries import Facts, Price
from providers.declaration.spec import ListedModel, ModelType

MOST_MODELS = 5000  # of one provider
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
        "earlier_prices",
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
        "context_window": listed.context_window if is_count(listed.context_window) else None,
        "max_output": listed.max_output if is_count(listed.max_output) else None,
        "features": sorted(listed.features) if listed.features is not None else None,
        "retired": listed.retires if is_date(listed.retires) else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Price):
        return price_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
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


_PARSERS: Mapping[str, Any] = {
    "type": _type,
    "label": parse_text,
    "context_window": parse_count,
    "max_output": parse_count,
    "max_inputs": parse_count,
    "features": _features,
    "parameters": parse_parameters,
    "values": _values,
    "price": parse_price,
    "earlier_prices": parse_earlier,
    "retired": day,
    "successor": parse_text,
}
