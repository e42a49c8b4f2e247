"""OpenAI's chat completions, which are the neutral form: passed through, changed only where
needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.declaration.spec import (
    Access,
    Answer,
    ErrorMap,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.chat_answers import Tidy, answer_of
from providers.wire.http import Auth, read_object, url_of
from providers.wire.openai.errors import error_in_chat
from providers.wire.openai.stream import stream_of
from providers.wire.repairs.asking import asked
from providers.wire.repairs.bodies import is_event_stream
from providers.wire.stream_accumulation import collected_answer
from providers.wire.thinking.streams import thinking_stream_of, tidy_answer

# Changes a fresh shallow copy of the body before it is sent.
Adjust = Callable[[dict[str, Any], Provider, Access, ModelFacts], None]

# Fields of messages that other formats need to continue their own answers.
REPLAY_FIELDS = frozenset({"provider_blocks"})


def openai_chat(
    *,
    auth: Auth,
    path: str = "/chat/completions",
    version: str = "/v1",
    adjust: Adjust | None = None,
    tidy: Tidy | None = None,
    tidies_shape: bool = False,
    usage_option: bool = True,
    think_tags: bool = False,
) -> MakeExchange:
    """Make the exchange for chat.

    Args:
        adjust: fits requests to the provider.
        tidy: repairs the provider's answers, and chunks that are more than plain text.
        tidies_shape: whether what `tidy` does never depends on the text of a chunk.
        usage_option: whether to request usage in streams by `stream_options`.
        think_tags: whether models may leave their reasoning inside the text.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = adjusted_body(
            provider, request, access, facts, adjust=adjust, usage_option=usage_option
        )
        url = url_of(provider, access, path, version=version)
        reply = yield from asked(provider, url, auth(access), body, request)
        model = (str(url), request.model)
        if request.stream and think_tags:
            return thinking_stream_of(provider.errors, tidy, tidies_shape=tidies_shape, model=model)
        if request.stream:
            return stream_of(reply, provider.errors, tidy, tidies_shape=tidies_shape)
        answer = whole_answer(reply, provider.errors, tidy)
        if think_tags:
            tidy_answer(answer.body or {}, model)
        return answer

    return exchange


def whole_answer(reply: Reply, errors: ErrorMap, tidy: Tidy | None = None) -> Answer:
    """Convert a whole answer, also of a server that streams it unasked.

    Raises:
        ProviderError: if it is an error, or no chat answer.
    """
    if is_event_stream(reply.body):
        return collected_answer(reply, errors, tidy)
    body = read_object(reply)
    if error := error_in_chat(body, reply.body, errors):
        raise error
    return answer_of(body, tidy)


def adjusted_body(
    provider: Provider,
    request: Request,
    access: Access,
    facts: ModelFacts,
    *,
    adjust: Adjust | None,
    usage_option: bool,
) -> dict[str, Any]:
    """Build the body to send, fitted to the provider."""
    body = neutral_body(request, facts)
    if request.stream and usage_option:
        request_usage(body)
    if adjust is not None:
        adjust(body, provider, access, facts)
    return body


def neutral_body(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """Copy the request's body without parameters that the model does not accept.

    The copy may be changed at its top level.
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


def request_usage(body: dict[str, Any]) -> None:
    body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}


def drop_unsupported(body: dict[str, Any], facts: ModelFacts) -> None:
    """Remove the parameters that the model's facts call unsupported, which would fail the whole
    call.
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
    """Copy the messages without some fields: another format may have started the conversation."""
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
