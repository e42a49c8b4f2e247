"""OpenAI's embeddings: vectors in the order of the input, long lists in batches."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from core.long_json import without_vectors
from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.http import Auth, post_json, read_object, unreadable, url_of
from providers.wire.openai.chat import drop_unsupported
from providers.wire.preconditions import fixed_size
from providers.wire.usage import input_usage_in

# Bytes of one answer: 2048 vectors of 3072 numbers take 34 MB in base64, and 80 as numbers.
MAX_VECTORS = 96 * 1024 * 1024
SHORT = 256 * 1024  # bytes of an answer that is parsed as a whole
# A vector as numbers, as their JSON text, or in base64 (float32, little-endian).
Vector = Sequence[float] | bytes | str


def openai_embeddings(
    *,
    auth: Auth,
    path: str = "/embeddings",
    version: str = "/v1",
    adjust: Callable[[dict[str, Any]], None] | None = None,
    max_inputs: int | None = None,
) -> MakeExchange:
    """Make the exchange for embeddings.

    Args:
        adjust: changes a shallow copy of the body.
        max_inputs: inputs per request if the model's facts do not say; None for no limit.
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
            answer = embedding_answer(_read((yield call)))
            check_count(len((answer.body or {})["data"]), inputs)
            answers.append(answer)
        return merged(answers, request)

    return exchange


def _read(reply: Reply) -> dict[str, Any]:
    """Parse an answer; vectors of a long one stay JSON text.

    2048 vectors of 3072 numbers would be millions of objects that nobody here looks at.

    Raises:
        ProviderError: if the body is no JSON object, or a vector has no numbers.
    """
    if len(reply.body) < SHORT:
        return read_object(reply)
    text, vectors = without_vectors(reply.body)
    body = read_object(replace(reply, body=text))
    data = body.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    numbered = [row for row in rows if type(row.get("embedding")) is int]
    if [row["embedding"] for row in numbered] != list(range(len(vectors))):
        raise unreadable(reply)  # some stand elsewhere, or were numbers before
    for row, vector in zip(numbered, vectors, strict=True):
        row["embedding"] = vector
    return body


def embedding_body(request: Request, facts: ModelFacts) -> dict[str, Any]:
    """Copy the request's body without parameters that the model does not accept.

    Raises:
        CannotExpress: if the model cannot return vectors of the requested size.
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


def batches(inputs: Any, size: int | None) -> list[Any]:
    """Split an `input` into lists of at most `size`; a text or a list of token numbers stays
    whole.
    """
    if (
        size is None
        or not isinstance(inputs, list)
        or len(inputs) <= size
        or isinstance(inputs[0], int)
    ):
        return [inputs]
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def texts_of(request: Request) -> list[str]:
    """Return the inputs as texts, for providers that accept nothing else.

    Raises:
        CannotExpress: if the inputs are not texts.
    """
    value = request.body.get("input")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CannotExpress(
            "This provider embeds only texts: input must be a text or a list of texts.",
            param="input",
        )
    return texts


def check_count(count: int, inputs: Any) -> None:
    """Check that there is one vector per input, so that none is attributed to another input.

    Raises:
        ProviderError: if the counts differ.
    """
    is_batch = isinstance(inputs, list) and inputs and not isinstance(inputs[0], int)
    if count != (len(inputs) if is_batch else 1):
        raise ProviderError(Failure.ERROR, Reason("too_few_embeddings"), status=200)


def embedding_answer(body: dict[str, Any]) -> Answer:
    """Convert the answer, sorted by index.

    Raises:
        ProviderError: if the body contains no vectors.
    """
    data = body.get("data")
    if (
        not isinstance(data, list)
        or not data
        or not all(isinstance(row, dict) and row.get("embedding") for row in data)
    ):
        raise ProviderError(Failure.ERROR, Reason("no_embeddings"), status=200)
    if all(isinstance(row.get("index"), int) for row in data):
        data = sorted(data, key=lambda row: row["index"])
    return Answer({**body, "data": data}, input_usage_in(body))


def merged(answers: Sequence[Answer], request: Request) -> Answer:
    """Merge the batches' answers: number the vectors, sum the usage, apply the requested
    encoding.
    """
    bodies = [answer.body or {} for answer in answers]
    rows = [row for body in bodies for row in body["data"]]
    encoding = request.body.get("encoding_format")
    for number, row in enumerate(rows):
        row["embedding"] = encoded(row["embedding"], encoding)
        if len(answers) > 1:
            row["index"] = number
    if len(answers) == 1:
        return answers[0]
    tokens = _sum([answer.usage.prompt_tokens if answer.usage else None for answer in answers])
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    first = {name: value for name, value in bodies[0].items() if name != "usage"}
    return Answer({**first, "data": rows, **usage}, None if tokens is None else Usage(tokens))


def joined(parts: Sequence[tuple[Sequence[Vector], int | None]], request: Request) -> Answer:
    """Build the neutral answer from batches.

    Args:
        parts: vectors and tokens (None if not reported) of each batch.

    Raises:
        ProviderError: if a vector is missing.
    """
    vectors = [vector for batch, _tokens in parts for vector in batch if vector]
    check_count(len(vectors), request.body.get("input"))
    encoding = request.body.get("encoding_format")
    data = [
        {"object": "embedding", "index": number, "embedding": encoded(vector, encoding)}
        for number, vector in enumerate(vectors)
    ]
    tokens = _sum([tokens for _batch, tokens in parts])
    body: dict[str, Any] = {"object": "list", "data": data, "model": request.model}
    if tokens is None:
        return Answer(body)
    return Answer(
        {**body, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}, Usage(tokens)
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    """Sum the counts, or return None if one is missing: a partial sum would look complete."""
    reported = [count for count in counts if count is not None]
    return sum(reported) if reported and len(reported) == len(counts) else None


def encoded(vector: Vector, encoding: Any) -> Any:
    """Encode a vector as the client requested, whatever encoding the server used.

    Returns:
        Numbers, a base64 text, or what orjson writes as it is.

    Raises:
        ProviderError: if the vector is malformed.
    """
    try:
        if isinstance(vector, bytes):
            numbers = orjson.loads(vector)
            if not numbers:
                raise ValueError
            return packed(numbers) if encoding == "base64" else orjson.Fragment(vector)
        if encoding == "base64" and not isinstance(vector, str):
            return packed(vector)
        return (
            unpacked(vector) if encoding in (None, "float") and isinstance(vector, str) else vector
        )
    except (struct.error, OverflowError, ValueError, TypeError):
        raise ProviderError(Failure.ERROR, Reason("embeddings_unreadable"), status=200) from None


def packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def unpacked(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))
