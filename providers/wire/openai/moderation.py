"""OpenAI's moderations: texts or images in, one judgement for each out; passed through."""

from __future__ import annotations

import uuid
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
)
from providers.failures.reasons import Reason
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.usage import input_usage_in


def openai_moderations(
    *, auth: Auth, path: str = "/moderations", version: str = "/v1"
) -> MakeExchange:
    """Make the exchange for moderations."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = {**request.body, "model": request.model}
        body.pop("stream", None)
        reply = yield post_json(url_of(provider, access, path, version=version), auth(access), body)
        return moderation_answer(read_object(reply), request.model)

    return exchange


def moderation_answer(body: dict[str, Any], model: str) -> Answer:
    """Convert the answer, and fill in the head if the server left it out.

    Raises:
        ProviderError: if the body contains no judgement.
    """
    results = body.get("results")
    if (
        not isinstance(results, list)
        or not results
        or not all(_is_judgement(result) for result in results)
    ):
        raise ProviderError(Failure.ERROR, Reason("no_judgement"), status=200)
    head = {"id": body.get("id") or f"modr-{uuid.uuid4().hex}", "model": body.get("model") or model}
    return Answer({**body, **head}, input_usage_in(body))


def _is_judgement(result: Any) -> bool:
    return isinstance(result, dict) and isinstance(result.get("flagged"), bool)
