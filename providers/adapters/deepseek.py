"""DeepSeek's peculiarities (https://api-docs.deepseek.com); its row declares the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.rows import provider_of
from providers.declaration.spec import Access, ModelFacts, Provider
from providers.failures.reasons import Reason
from providers.wire.chat_answers import choices_of


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Disable thinking for effort "none", and add the reasoning that a thinking model requires.

    See https://api-docs.deepseek.com/guides/thinking_mode; DeepSeek maps the other efforts itself.
    """
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body.setdefault("thinking", {"type": "disabled"})
    if body.get("thinking") != {"type": "disabled"} and isinstance(
        messages := body.get("messages"), list
    ):
        body["messages"] = [with_thoughts(message) for message in messages]


def with_thoughts(message: Any) -> Any:
    """Add empty reasoning to a message with tool calls: a thinking model refuses it without."""
    if (
        isinstance(message, dict)
        and message.get("tool_calls")
        and message.get("reasoning_content") is None
    ):
        return {**message, "reasoning_content": ""}
    return message


def tidy(body: dict[str, Any]) -> bool:
    """Treat answers cut short by lack of capacity as failures."""
    if any(
        choice.get("finish_reason") == "insufficient_system_resource" for choice in choices_of(body)
    ):
        raise ProviderError(Failure.OVERLOADED, Reason("no_capacity"), status=200)
    return False


PROVIDER = replace(provider_of("deepseek", adjust=fit, tidy=tidy), replays_thoughts=True)
