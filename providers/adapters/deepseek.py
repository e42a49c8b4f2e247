"""What DeepSeek (https://api-docs.deepseek.com) does of its own; the rest is in its row."""

from __future__ import annotations

from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.rows import provider_of
from providers.declaration.spec import Access, ModelFacts, Provider
from providers.failures.reasons import Reason
from providers.wire.chat_answers import choices_of


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """https://api-docs.deepseek.com/guides/thinking_mode: models think unless told not to; DeepSeek
    maps the efforts.
    """
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body.setdefault("thinking", {"type": "disabled"})
    if body.get("thinking") != {"type": "disabled"} and isinstance(
        messages := body.get("messages"), list
    ):
        body["messages"] = [with_thoughts(message) for message in messages]


def with_thoughts(message: Any) -> Any:
    """A thinking model refuses a message with tool calls and no thoughts; one from another provider
    gets empty ones.
    """
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


PROVIDER = provider_of("deepseek", adjust=fit, tidy=tidy)
