"""OpenAI's embeddings, passed through; vectors in the order of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.errors import Failure, ProviderError
from providers.spec import Access, Answer, Exchange, MakeExchange, ModelFacts, Provider, Request
from providers.wire.chat_answers import usage_of
from providers.wire.http import Auth, post_json, read_object, url_of


def openai_embeddings(
    *, auth: Auth, path: str = "/embeddings", version: str = "/v1", adjust: Callable[[dict[str, Any]], None] | None = None
) -> MakeExchange:
    """A MakeExchange for embeddings. adjust: changes a shallow copy of the body."""

    def exchange(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
        body = {**request.body, "model": request.model}
        body.pop("stream", None)
        if adjust is not None:
            adjust(body)
        reply = yield post_json(url_of(provider, access, path, version=version), auth(access), body)
        return embedding_answer(read_object(reply))

    return exchange


def embedding_answer(body: dict[str, Any]) -> Answer:
    """Raises ProviderError where the body holds no vectors."""
    data = body.get("data")
    if not isinstance(data, list) or not data or not all(isinstance(row, dict) and row.get("embedding") for row in data):
        raise ProviderError(Failure.ERROR, "The provider's answer holds no embeddings.", status=200)
    if all(isinstance(row.get("index"), int) for row in data):
        data = sorted(data, key=lambda row: row["index"])
    return Answer({**body, "data": data}, usage_of(body.get("usage")))
