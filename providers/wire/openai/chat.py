"""OpenAI's chat completions, which are the neutral form themselves: passed through, changed only
where they must be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.declaration.spec import (
    Access,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
)
from providers.wire.chat_answers import Tidy, answer_of
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.openai.stream import stream_of
from providers.wire.think_tags import thinking_stream_of, tidy_thinking

# Changes a fresh shallow copy of the body before it is sent.
Adjust = Callable[[dict[str, Any], Provider, Access, ModelFacts], None]

REPLAY_FIELDS = frozenset(
    {"provider_blocks"}
)  # of messages; what another format needs to go on with its own answers


def openai_chat(
    *,
    auth: Auth,
    path: str = "/chat/completions",
    version: str = "/v1",
    adjust: Adjust | None = None,
    tidy: Tidy | None = None,
    tidy_all: bool = False,
    usage_option: bool = True,
    think_tags: bool = False,
) -> MakeExchange:
    """A MakeExchange for chat.

    adjust: the provider's quirks of requests. tidy: of answers; asked for chunks that are more than
    plain text, with tidy_all for every one. usage_option: ask for usage in streams by
    `stream_options`. think_tags: models may leave their reasoning inside the text.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = adjusted_body(
            provider, request, access, facts, adjust=adjust, usage_option=usage_option
        )
        reply = yield post_json(
            url_of(provider, access, path, version=version),
            auth(access),
            body,
            stream=request.stream,
        )
        if request.stream and think_tags:
            return thinking_stream_of(reply, provider.errors, tidy)
        if request.stream:
            return stream_of(reply, provider.errors, tidy, tidy_all=tidy_all)
        answer = answer_of(read_object(reply), tidy)
        if think_tags:
            tidy_thinking(answer.body or {})
        return answer

    return exchange


def adjusted_body(
    provider: Provider,
    request: Request,
    access: Access,
    facts: ModelFacts,
    *,
    adjust: Adjust | None,
    usage_option: bool,
) -> dict[str, Any]:
    """The body that is sent, with the provider's quirks."""
    body = neutral_body(request, facts)
    if request.stream and usage_option:
        ask_for_usage(body)
    if adjust is not None:
        adjust(body, provider, access, facts)
    return body


def neutral_body(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """A copy of the request's body that may be changed at its top level, without what the model
    does not take.
    """
    body = {**request.body, "model": request.model}
    if request.stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    drop_unsupported(body, facts)
    if "messages" in body:
        body["messages"] = without_fields(body["messages"], REPLAY_FIELDS)
    return body


def ask_for_usage(body: dict[str, Any]) -> None:
    body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}


def drop_unsupported(body: dict[str, Any], facts: ModelFacts) -> None:
    """Takes out the parameters that the model's facts call unsupported: sent, they would fail the
    whole call.
    """
    thinks = body.get("reasoning_effort") != "none"
    for name, rule in facts.parameters.items():
        if (
            name in body
            and rule.get("supported") is False
            and (thinks or not rule.get("with_effort_none"))
        ):
            del body[name]


def without_fields(messages: Any, names: frozenset[str]) -> Any:
    """The messages without some fields: a conversation may have begun at a provider of another
    format.
    """
    if not isinstance(messages, list) or not any(
        isinstance(message, dict) and not names.isdisjoint(message) for message in messages
    ):
        return messages
    return [
        {name: value for name, value in message.items() if name not in names}
        if isinstance(message, dict)
        else message
        for message in messages
    ]
