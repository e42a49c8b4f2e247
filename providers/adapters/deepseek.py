"""DeepSeek (https://api-docs.deepseek.com), which speaks OpenAI's format."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.adapters._shared import base_url_field
from providers.errors import Failure, ProviderError
from providers.spec import Access, Field, Kind, ModelFacts, ModelType, Operation, Provider
from providers.wire.chat_answers import choices_of
from providers.wire.http import bearer
from providers.wire.model_list import check_by_list, list_models
from providers.wire.openai_chat import openai_chat
from providers.wire.openai_errors import openai_errors
from providers.wire.subset import use_json_object, use_max_tokens, use_system_role

KEY_URL = "https://platform.deepseek.com/api_keys"
auth = bearer("api_key")


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """https://api-docs.deepseek.com/guides/thinking_mode: models think unless told not to; efforts are mapped over there."""
    use_max_tokens(body)
    use_system_role(body)
    use_json_object(body)
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body.setdefault("thinking", {"type": "disabled"})
    if body.get("thinking") != {"type": "disabled"} and isinstance(messages := body.get("messages"), list):
        body["messages"] = [with_thoughts(message) for message in messages]


def with_thoughts(message: Any) -> Any:
    """While it thinks, a message with tool calls is refused without its thoughts, be they none (begun at another provider)."""
    if isinstance(message, dict) and message.get("tool_calls") and message.get("reasoning_content") is None:
        return {**message, "reasoning_content": ""}
    return message


def tidy(body: dict[str, Any]) -> bool:
    """An answer that was cut for want of machines is none."""
    if any(choice.get("finish_reason") == "insufficient_system_resource" for choice in choices_of(body)):
        raise ProviderError(Failure.OVERLOADED, "The provider broke off the answer: it has no capacity left.", status=200)
    return False


def guess_type(model: str) -> ModelType | None:
    return ModelType.REASONING


PROVIDER = Provider(
    slug="deepseek",
    label="DeepSeek",
    kind=Kind.OWN,
    model_types=(ModelType.REASONING,),
    description=_("DeepSeek's models for conversations, code and step-by-step thinking."),
    key_url=KEY_URL,
    docs_url="https://api-docs.deepseek.com",
    credential_fields=(
        Field("api_key", _("API key"), secret=True, help_url=KEY_URL, placeholder="sk-...", prefix="sk-", env=("DEEPSEEK_API_KEY",)),
        base_url_field(),
    ),
    default_base_url="https://api.deepseek.com",
    operations={Operation.CHAT: openai_chat(auth=auth, version="", adjust=fit, tidy=tidy)},
    errors=openai_errors(),
    check=check_by_list(auth=auth, version=""),
    list_models=list_models(auth=auth, guess=guess_type, version=""),
    guess_type=guess_type,
)
