"""Quirks: the known deviations from OpenAI's chat format that a provider's row may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from providers.wire.chat_answers import Tidy
from providers.wire.compatibility import use_json_object, use_max_tokens, use_system_role


@dataclass(frozen=True, slots=True)
class Quirk:
    """A deviation from OpenAI's chat completions.

    Args:
        fit: Changes a shallow copy of the request.
        tidy: Changes an answer or a chunk, and returns whether it did.
        think_tags: Models may leave their reasoning inside the text.
        unlimited: Servers know max_tokens -1, which means no limit.
    """

    fit: Callable[[dict[str, Any]], None] | None = None
    tidy: Tidy | None = None
    think_tags: bool = False
    unlimited: bool = False


QUIRKS: Final[Mapping[str, Quirk]] = {
    "json_object": Quirk(fit=use_json_object),  # no response_format json_schema
    "max_tokens": Quirk(fit=use_max_tokens),  # no max_completion_tokens
    "system_role": Quirk(fit=use_system_role),  # no role `developer`
    # The reasoning may be part of the text, between <think> tags.
    "think_tags": Quirk(think_tags=True),
    "unlimited": Quirk(unlimited=True),  # max_tokens may be -1
}
