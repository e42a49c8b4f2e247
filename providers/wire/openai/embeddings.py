"""OpenAI's embeddings, passed through: vectors in the order of the input, long lists in batches the
provider takes.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Request,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.chat_answers import usage_of
from providers.wire.http import Auth, post_json, read_object, url_of
from providers.wire.neutral import fixed_size
from providers.wire.openai.chat import drop_unsupported

MAX_VECTORS = (
    64 * 1024 * 1024
)  # bytes of one answer: 2048 vectors of 3072 numbers are 34 MB in base64
# A vector as numbers, or in base64 (float32, little-endian).
Vector = Sequence[float] | str


def openai_embeddings(
    *,
    auth: Auth,
    path: str = "/embeddings",
    version: str = "/v1",
    adjust: Callable[[dict[str, Any]], None] | None = None,
    max_inputs: int | None = None,
) -> MakeExchange:
    """A MakeExchange for embeddings.

    adjust: changes a shallow copy of the body. max_inputs: how many the provider takes at once
    where the model's facts do not say; more of them become several requests, None is without limit.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = embedding_body(request, facts)
        if adjust is not None:
            adjust(body)
        answers = []
        for inputs in batches(body.get("input"), facts.max_inputs or max_inputs):
            call = post_json(
                url_of(provider, access, path, version=version),
                auth(access),
                {**body, "input": inputs},
            )
            call.limit = MAX_VECTORS
            answer = embedding_answer(read_object((yield call)))
            check_count(len((answer.body or {})["data"]), inputs)
            answers.append(answer)
        return merged(answers, request)

    return exchange


def embedding_body(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """A copy of the request's body without what the model does not take. Raises CannotExpress for a
    size it cannot give.
    """
    body = {**request.body, "model": request.model}
    body.pop("stream", None)
    if (
        body.get("dimensions") is not None
        and facts.parameters.get("dimensions", {}).get("supported") is False
    ):
        raise fixed_size()
    drop_unsupported(body, facts)
    return body


def batches(given: Any, size: int | None) -> list[Any]:
    """An `input` as several that hold at most `size` each. One text, and one list of token numbers,
    stay what they are.
    """
    if (
        size is None
        or not isinstance(given, list)
        or len(given) <= size
        or isinstance(given[0], int)
    ):
        return [given]
    return [given[start : start + size] for start in range(0, len(given), size)]


def texts_of(request: Request) -> list[str]:
    """The inputs as texts, for providers that take nothing else. Raises CannotExpress for token
    numbers.
    """
    given = request.body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CannotExpress(
            "This provider embeds texts: input must be a text or a list of texts.", param="input"
        )
    return texts


def check_count(found: int, given: Any) -> None:
    """Raises ProviderError unless there is one vector for each input: none may be taken for
    another's.
    """
    if found != (
        len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    ):
        raise ProviderError(Failure.ERROR, Reason("too_few_embeddings"), status=200)


def embedding_answer(body: dict[str, Any]) -> Answer:
    """Raises ProviderError where the body holds no vectors."""
    data = body.get("data")
    if (
        not isinstance(data, list)
        or not data
        or not all(isinstance(row, dict) and row.get("embedding") for row in data)
    ):
        raise ProviderError(Failure.ERROR, Reason("no_embeddings"), status=200)
    if all(isinstance(row.get("index"), int) for row in data):
        data = sorted(data, key=lambda row: row["index"])
    return Answer({**body, "data": data}, usage_of(body.get("usage")))


def merged(answers: Sequence[Answer], request: Request) -> Answer:
    """The answers of all batches as one, counted through, the usage summed, in the encoding that
    was asked for.
    """
    bodies = [answer.body or {} for answer in answers]
    rows = [row for body in bodies for row in body["data"]]
    wanted = request.body.get("encoding_format")
    for number, row in enumerate(rows):
        row["embedding"] = encoded(row["embedding"], wanted)
        if len(answers) > 1:
            row["index"] = number
    if len(answers) == 1:
        return answers[0]
    tokens = _sum([answer.usage.prompt_tokens if answer.usage else None for answer in answers])
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    first = {name: value for name, value in bodies[0].items() if name != "usage"}
    return Answer({**first, "data": rows, **usage}, None if tokens is None else Usage(tokens))


def joined(parts: Sequence[tuple[Sequence[Vector], int | None]], request: Request) -> Answer:
    """An answer in the neutral form out of (vectors, tokens or None) of each batch. Raises
    ProviderError for a vector too few.
    """
    vectors = [vector for found, _tokens in parts for vector in found if vector]
    check_count(len(vectors), request.body.get("input"))
    wanted = request.body.get("encoding_format")
    data = [
        {"object": "embedding", "index": number, "embedding": encoded(one, wanted)}
        for number, one in enumerate(vectors)
    ]
    tokens = _sum([tokens for _found, tokens in parts])
    body: dict[str, Any] = {"object": "list", "data": data, "model": request.model}
    if tokens is None:
        return Answer(body)
    return Answer(
        {**body, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}, Usage(tokens)
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    """None where one batch was not counted: half a sum would pass for the whole."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def encoded(vector: Vector, wanted: Any) -> Vector:
    """A vector as the client asked for it, whatever the server made of encoding_format. Raises
    ProviderError for what is none.
    """
    try:
        if wanted == "base64" and not isinstance(vector, str):
            return packed(vector)
        return unpacked(vector) if wanted in (None, "float") and isinstance(vector, str) else vector
    except (struct.error, OverflowError, ValueError, TypeError):
        raise ProviderError(Failure.ERROR, Reason("embeddings_unreadable"), status=200) from None


def packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def unpacked(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))
