"""Usage and cost of a call: reported by the provider, or estimated and marked as such."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from gateway.dataplane.requests.request import GatewayRequest
from models_catalog.resolution.entries import Price
from providers.declaration.spec import Answer, Decoder, Usage
from providers.operations.columns import Unit
from providers.operations.table import OPERATIONS
from quotas.ledger import pricing

CHARACTERS_PER_TOKEN: Final = 4  # for English text; results are marked as estimates


def of_answer(request: GatewayRequest, answer: Answer, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a complete answer."""
    if _is_reported(answer.usage):
        return _fields(answer.usage, "reported", price)
    return _estimated(
        request, answer.usage, _length(answer.body.get("choices")) if answer.body else 0, price
    )


def of_stream(request: GatewayRequest, decoder: Decoder, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a stream, complete or not."""
    if _is_reported(decoder.usage):
        return _fields(decoder.usage, "reported", price)
    return _estimated(request, decoder.usage, decoder.output_characters, price)


def of_request(request: GatewayRequest, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a call whose answer was never read."""
    return _estimated(request, None, 0, price)


def _is_reported(usage: Usage | None) -> bool:
    return usage is not None and any(
        amount is not None
        for amount in (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.audio_seconds,
            usage.characters,
        )
    )


def _estimated(
    request: GatewayRequest, usage: Usage | None, output_characters: int, price: Price | None
) -> dict[str, Any]:
    size = OPERATIONS[request.operation].size
    values = [request.body.get(name) for name in size.fields] if size else []
    characters = sum(map(_length, values))
    if size and size.unit is Unit.TOKENS:
        tokens = _tokens(characters) + sum(map(_numbers, values))
        estimate = Usage(prompt_tokens=tokens, completion_tokens=_tokens(output_characters))
        return _fields(estimate, "estimated", price)
    if size and price is not None and price.per_million_characters is not None:
        return _fields(Usage(characters=characters), "estimated", price)
    return _fields(usage, "none", price)


def _numbers(value: Any) -> int:
    """Count tokens sent as numbers: a list, or a list of lists."""
    if not isinstance(value, list):
        return 0
    return sum(
        1 if isinstance(item, int) else len(item) if isinstance(item, list) else 0 for item in value
    )


def _tokens(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def _length(value: Any) -> int:
    """Count the characters of all texts in a JSON value.

    Data URLs are skipped, because an image's token count does not depend on its size in bytes.
    """
    return sum(len(text) for text in _texts(value) if not text.startswith("data:"))


def _texts(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            pending.extend(
                item for name, item in node.items() if name not in ("role", "type", "id")
            )
        elif isinstance(node, list):
            pending.extend(node)


def _fields(usage: Usage | None, source: str, price: Price | None) -> dict[str, Any]:
    cost = pricing.cost_of(usage, price)
    return {
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "usage_source": source,
        "cost": cost,
        "currency": price.currency if price is not None and cost is not None else "",
    }
