"""Choose between OpenAI's two chat APIs, by the model's facts or the provider's refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from providers.declaration.spec import (
    Access,
    Call,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.http import json_or_none
from providers.wire.openai.errors import error_object
from providers.wire.openai.model_list import error_or

R = TypeVar("R")
Needs = Callable[[Request, Access, ModelFacts], bool]

# For models without facts.
_RESPONSES_ONLY = re.compile(
    r"(?:gpt-|o\d).*-pro(?:-\d{4}-\d{2}-\d{2})?\Z|codex|deep-research|computer-use"
)
_REFUSED = frozenset({400, 404})


def needs_responses(model: str, body: dict[str, Any], facts: ModelFacts) -> bool:
    """Tell whether a chat must use the Responses API.

    It must for models that support nothing else, and for tools with reasoning on newer models.
    """
    if "responses_only" in facts.features or (not facts.features and _RESPONSES_ONLY.search(model)):
        return True
    return (
        bool(body.get("tools"))
        and "tools_responses_only" in facts.features
        and body.get("reasoning_effort") != "none"
    )


def chat_or_responses(*, chat: MakeExchange, responses: MakeExchange, needs: Needs) -> MakeExchange:
    """Make the exchange for chat by either API.

    If the provider refuses the first call because the model needs the other API, or
    max_completion_tokens instead of max_tokens, call it once more that way: the names of fine-tuned
    models and deployments reveal nothing.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        if needs(request, access, facts):
            return (yield from responses(provider, request, access, facts))
        first = chat(provider, request, access, facts)
        call = next(first)
        call.accept |= _REFUSED
        reply = yield call
        if reply.status not in _REFUSED:
            return (yield from resume(first, reply))
        first.close()
        if b"v1/responses" in reply.body:
            return (yield from responses(provider, request, access, facts))
        if b'"max_tokens":' not in (call.body or b"") or not _rejects_max_tokens(reply):
            raise error_or(reply, provider)
        body = dict(request.body)
        body["max_completion_tokens"] = body.pop("max_tokens")
        retry = Request(request.operation, request.model, body, request.stream, request.upload)
        return (yield from chat(provider, retry, access, facts))

    return exchange


def _rejects_max_tokens(reply: Reply) -> bool:
    error = error_object(json_or_none(reply.body)) or {}
    return error.get("param") == "max_tokens" and "max_completion_tokens" in str(
        error.get("message")
    )


def resume(exchange: Generator[Call, Reply, R], reply: Reply) -> Generator[Call, Reply, R]:
    """Continue an exchange whose last call was made elsewhere and answered with `reply`."""
    try:
        call = exchange.send(reply)
        while True:
            call = exchange.send((yield call))
    except StopIteration as stop:
        result: R = stop.value
        return result
