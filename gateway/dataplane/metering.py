"""Usage and cost of a call: reported by the provider, or estimated and marked as such."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from gateway.dataplane.requests.request import GatewayRequest
from models_catalog.resolution.entries import Price
from providers.declaration.spec import Answer, Decoder, Usage
from providers.operations.columns import Stream, Unit
from providers.operations.table import OPERATIONS
from quotas.ledger import pricing, quantities

CHARACTERS_PER_TOKEN: Final = 4  # for English text; results are marked as estimates


def of_answer(request: GatewayRequest, answer: Answer, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a complete answer."""
    usage = answer.usage
    if _is_complete(request, usage):
        return _fields(usage, "reported", price)
    characters = answer.output_characters
    if answer.body:
        characters += _length(answer.body.get("choices"))
    return _estimated(request, usage, characters, price)


def of_stream(request: GatewayRequest, decoder: Decoder, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a stream, complete or not.

    What was reported before the answer ended is provisional: more may have been generated since.
    """
    usage = decoder.usage
    has_ended = decoder.done or decoder.finish_reason is not None
    if has_ended and _is_complete(request, usage):
        return _fields(usage, "reported", price)
    return _estimated(request, usage, decoder.output_characters, price, is_final=has_ended)


def of_request(request: GatewayRequest, price: Price | None) -> dict[str, Any]:
    """Return the call record's usage fields for a call whose answer was never read."""
    return _estimated(request, None, 0, price)


def prompt_tokens(request: GatewayRequest) -> int:
    """Return an estimate of what the request takes before it is answered; 0 if not in tokens."""
    size = OPERATIONS[request.operation].size
    if size is None or size.unit is not Unit.TOKENS:
        return 0
    values = [request.measurable().get(name) for name in size.fields]
    return _tokens(sum(map(_length, values))) + sum(map(_numbers, values))


def _generates(request: GatewayRequest) -> bool:
    """Tell whether the operation has completion tokens."""
    return OPERATIONS[request.operation].stream is Stream.CHUNKS


def _is_complete(request: GatewayRequest, usage: Usage | None) -> bool:
    """Tell whether the provider reported all that can be expected."""
    if usage is None:
        return False
    if (usage.audio_seconds, usage.characters, usage.images) != (None, None, None):
        return True
    return bool(usage.prompt_tokens and (usage.completion_tokens or not _generates(request)))


def _estimated(
    request: GatewayRequest,
    usage: Usage | None,
    output_characters: int,
    price: Price | None,
    *,
    is_final: bool = True,
) -> dict[str, Any]:
    """Return the fields of usage that was reported in part or not at all.

    Args:
        is_final: Whether the answer had ended when the usage was reported.
    """
    size = OPERATIONS[request.operation].size
    if size and size.unit is Unit.TOKENS:
        estimate = Usage(prompt_tokens(request), _tokens(output_characters))
        usage, is_reported = _filled(
            usage or Usage(), estimate, is_final=is_final, generates=_generates(request)
        )
        return _fields(usage, "reported" if is_reported else "estimated", price)
    if usage is not None and (usage.prompt_tokens, usage.completion_tokens) != (None, None):
        return _fields(usage, "reported" if is_final else "estimated", price)
    if size and price is not None and price.per_million_characters is not None:
        characters = sum(_length(request.measurable().get(name)) for name in size.fields)
        return _fields(Usage(characters=characters), "estimated", price)
    return _fields(usage, "none", price)


def _filled(
    usage: Usage, estimate: Usage, *, is_final: bool, generates: bool
) -> tuple[Usage, bool]:
    """Replace what is unknown, or a zero that cannot be true, by an estimate.

    Returns:
        The usage, and whether the provider reported all of it.
    """
    prompt, completion = estimate.prompt_tokens or 0, estimate.completion_tokens or 0
    if usage.total_tokens is not None:  # only the split is unknown
        completion = min(completion, usage.total_tokens)
        prompt = usage.total_tokens - completion
    has_prompt = _is_known(usage.prompt_tokens, prompt)
    has_completion = (
        is_final and _is_known(usage.completion_tokens, completion) if generates else has_prompt
    )
    if not has_prompt:
        usage = replace(usage, prompt_tokens=prompt)
    if not has_completion:
        usage = replace(usage, completion_tokens=max(completion, usage.completion_tokens or 0))
    return usage, has_prompt and has_completion


def _is_known(reported: int | None, estimate: int) -> bool:
    return bool(reported) or reported == estimate


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
        "images": usage.images if usage else None,
        "quantities": quantities.rare(usage) if usage else None,
        "price_version": price.version if price is not None else "",
        "usage_source": source,
        "cost": cost,
        "currency": price.currency if price is not None and cost is not None else "",
    }
