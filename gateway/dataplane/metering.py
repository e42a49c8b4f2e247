"""What a call used and what that costs: as the provider reported it, else estimated and
marked so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from gateway.dataplane.requests.request import GatewayRequest
from models_catalog.resolution.catalog import Price
from providers.declaration.spec import Answer, Decoder, Usage
from providers.operations.columns import Unit
from providers.operations.table import OPERATIONS
from quotas.ledger import pricing

CHARACTERS_PER_TOKEN: Final = 4  # of English text; the estimate is marked as one


def of_answer(request: GatewayRequest, answer: Answer, price: Price | None) -> dict[str, Any]:
    """Fields of the call record for a whole answer."""
    if _is_reported(answer.usage):
        return _fields(answer.usage, "reported", price)
    return _estimated(
        request, answer.usage, _length(answer.body.get("choices")) if answer.body else 0, price
    )


def of_stream(request: GatewayRequest, decoder: Decoder, price: Price | None) -> dict[str, Any]:
    """Fields of the call record for a stream, complete or not."""
    if _is_reported(decoder.usage):
        return _fields(decoder.usage, "reported", price)
    return _estimated(request, decoder.usage, decoder.output_characters, price)


def of_request(request: GatewayRequest, price: Price | None) -> dict[str, Any]:
    """Fields of the call record where the answer was never read."""
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
        guess = Usage(prompt_tokens=tokens, completion_tokens=_tokens(output_characters))
        return _fields(guess, "estimated", price)
    if size and price is not None and price.per_million_characters is not None:
        return _fields(Usage(characters=characters), "estimated", price)
    return _fields(usage, "none", price)


def _numbers(value: Any) -> int:
    """Tokens that were sent as numbers: one list of them, or several."""
    if not isinstance(value, list):
        return 0
    return sum(
        1 if isinstance(item, int) else len(item) if isinstance(item, list) else 0 for item in value
    )


def _tokens(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def _length(value: Any) -> int:
    """Characters of all texts in a JSON value, data URLs left out: an image's tokens do not follow
    its bytes.
    """
    return sum(len(text) for text in _texts(value) if not text.startswith("data:"))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(item for name, item in one.items() if name not in ("role", "type", "id"))
        elif isinstance(one, list):
            waiting.extend(one)


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
