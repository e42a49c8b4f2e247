"""The quirks that a provider's row may name: a closed list of what servers of OpenAI's format do
differently in chats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from providers.wire.chat_answers import Tidy, rename_reasoning
from providers.wire.subset import use_json_object, use_max_tokens, use_system_role


@dataclass(frozen=True, slots=True)
class Quirk:
    """A deviation from OpenAI's chat completions.

    Args:
        fit: Changes a fresh shallow copy of the request.
        tidy: Changes an answer or a chunk; True where something was changed.
        think_tags: Models may leave their reasoning inside the text.
    """

    fit: Callable[[dict[str, Any]], None] | None = None
    tidy: Tidy | None = None
    think_tags: bool = False


QUIRKS: Final[Mapping[str, Quirk]] = {
    "json_object": Quirk(fit=use_json_object),  # there is no response_format json_schema
    "max_tokens": Quirk(fit=use_max_tokens),  # there is no max_completion_tokens
    "reasoning": Quirk(
        tidy=rename_reasoning
    ),  # the reasoning text is called `reasoning`, as newer vLLM does
    "system_role": Quirk(fit=use_system_role),  # there is no role `developer`
    "think_tags": Quirk(
        think_tags=True
    ),  # the reasoning may stand inside the text, between <think> tags
}
