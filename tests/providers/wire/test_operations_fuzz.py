"""The endpoints beside chat against JSON of any shape, asked and answered: a refusal or a
provider's error at worst, never a crash.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests import schema
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import (
    Access,
    ModelFacts,
    Operation,
    Reply,
    Request,
    Upload,
)
from tests.providers.driving import Outcome, run

pytestmark = pytest.mark.slow  # generated input

ACCESS = Access({"api_key": "k" * 20}, "https://models.example.com/v1")
SOUND = Upload("voice.wav", "audio/wav", b"RIFF")
GOOD: dict[Operation, dict[str, Any]] = {
    Operation.COMPLETION: {"prompt": "Hi"},
    Operation.EMBEDDINGS: {"input": ["a", "b", "c"]},
    Operation.TRANSCRIPTION: {},
    Operation.SPEECH: {"input": "Hi", "voice": "alloy"},
    Operation.RERANK: {
        "query": "a",
        "documents": ["a", {"text": "b"}],
        "top_n": 2,
        "return_documents": True,
    },
    Operation.MODERATION: {"input": "Hi"},
    Operation.IMAGES: {"prompt": "Hi", "n": 2, "size": "512x256"},
    Operation.IMAGE_EDITS: {
        "prompt": "Hi",
        "images": [{"image_url": "data:image/png;base64,iVBORw=="}],
    },
}
MODELS = {
    Operation.COMPLETION: "demo-chat",
    Operation.EMBEDDINGS: "demo-embedding",
    Operation.TRANSCRIPTION: "demo-transcribe",
    Operation.SPEECH: "demo-speech",
    Operation.RERANK: "demo-rerank",
    Operation.MODERATION: "demo-moderation",
    Operation.IMAGES: "demo-image",
    Operation.IMAGE_EDITS: "demo-image",
}
STREAMED = (
    *(Operation.COMPLETION, Operation.TRANSCRIPTION, Operation.SPEECH),
    *(Operation.IMAGES, Operation.IMAGE_EDITS),
)
NAMES = [
    *(
        "id",
        "object",
        "model",
        "choices",
        "text",
        "index",
        "finish_reason",
        "usage",
        "total_tokens",
        "prompt_tokens",
        "error",
        "message",
    ),
    *(
        "data",
        "embedding",
        "type",
        "delta",
        "content",
        "audio",
        "seconds",
        "duration",
        "segments",
        "results",
        "relevance_score",
        "score",
    ),
    *(
        "meta",
        "tokens",
        "input_tokens",
        "flagged",
        "input",
        "prompt",
        "query",
        "documents",
        "top_n",
        "return_documents",
        "voice",
        "speed",
    ),
    *(
        "response_format",
        "stream_format",
        "stream",
        "stream_options",
        "encoding_format",
        "dimensions",
        "max_tokens",
    ),
]
WORDS = st.sampled_from(
    [
        "stop",
        "speech.audio.delta",
        "speech.audio.done",
        "transcript.text.delta",
        "transcript.text.done",
        "transcription.chunk",
        "sse",
        "base64",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=20,
)
OBJECT = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6)


def ask(
    operation: Operation,
    body: dict[str, Any],
    replies: list[Reply],
    *,
    stream: bool = False,
    slug: str = "openai_compatible",
) -> Outcome:
    request = Request(
        operation,
        MODELS[operation],
        body,
        stream,
        SOUND if operation is Operation.TRANSCRIPTION else None,
    )
    return run(registry.get(slug), request, ACCESS, ModelFacts(max_inputs=2), replies)


@pytest.mark.parametrize("operation", GOOD)
@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(JSON, min_size=2, max_size=2), status=st.sampled_from([200, 200, 200, 400, 503])
)
def test_any_answer(operation: Operation, values: list[Any], status: int) -> None:
    replies = [
        Reply(status, {"content-type": "application/json"}, orjson.dumps(value)) for value in values
    ]
    with suppress(ProviderError):
        outcome = ask(
            operation,
            GOOD[operation],
            replies if operation is Operation.EMBEDDINGS else replies[:1],
        )
        assert outcome.answer is not None
        orjson.dumps(outcome.answer.body)


@pytest.mark.parametrize("operation", STREAMED)
@settings(max_examples=80, deadline=None)
@given(values=st.lists(JSON, max_size=4), end=st.booleans())
def test_any_stream(operation: Operation, values: list[Any], end: bool) -> None:
    stream = b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values) + (
        b"data: [DONE]\n\n" if end else b""
    )
    with suppress(ProviderError):
        outcome = ask(
            operation,
            GOOD[operation],
            [Reply(200, {"content-type": "text/event-stream"}, stream)],
            stream=True,
        )
        for frame in outcome.frames:
            assert b"\n" not in frame.data
            assert isinstance(orjson.loads(frame.data), dict)


@pytest.mark.parametrize("slug", ["openai_compatible", "demo"])
@pytest.mark.parametrize("operation", GOOD)
@settings(max_examples=80, deadline=None)
@given(body=OBJECT, more=st.booleans())
def test_any_request_that_the_endpoint_takes(
    operation: Operation, slug: str, body: dict[str, Any], more: bool
) -> None:
    """What passes the endpoint's own checks is sent, answered or refused; it never trips a wire."""
    error = Reply(400, {}, b'{"error": {"message": "No"}}')
    with suppress(ProviderError, Refusal):
        asked = schema.read(operation, {**GOOD[operation], **body} if more else body)
        outcome = ask(
            operation, asked.body, [] if slug == "demo" else [error], stream=asked.stream, slug=slug
        )
        assert slug == "demo"
        assert outcome.answer is not None or outcome.frames


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.floats(-9, 9), min_size=1, max_size=6),
    top=st.none() | st.integers(1, 9),
    data=st.data(),
)
def test_a_ranking_is_sorted_cut_and_true_to_its_documents(
    scores: list[float], top: int | None, data: st.DataObject
) -> None:
    documents = [f"document {number}" for number in range(len(scores))]
    rows = data.draw(
        st.permutations(
            [{"index": number, "relevance_score": score} for number, score in enumerate(scores)]
        )
    )
    body = {"query": "q", "documents": documents, "return_documents": True} | (
        {"top_n": top} if top else {}
    )
    answer = ask(Operation.RERANK, body, [Reply(200, {}, orjson.dumps({"results": rows}))]).answer
    assert answer is not None
    assert answer.body is not None
    results = answer.body["results"]
    assert len(results) == min(top or math.inf, len(scores))
    assert [one["relevance_score"] for one in results] == sorted(scores, reverse=True)[
        : len(results)
    ]
    assert all(
        one["document"]["text"] == documents[one["index"]]
        and one["relevance_score"] == scores[one["index"]]
        for one in results
    )


@settings(max_examples=60, deadline=None)
@given(
    inputs=st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=9),
    packed=st.booleans(),
    data=st.data(),
)
def test_vectors_of_any_number_of_batches_are_in_the_order_of_their_inputs(
    inputs: list[str], packed: bool, data: st.DataObject
) -> None:
    """max_inputs is 2; each answer tells its vectors in any order."""
    replies = []
    for start in range(0, len(inputs), 2):
        rows = [
            {"index": at, "embedding": [float(start + at)]}
            for at in range(len(inputs[start : start + 2]))
        ]
        told = {
            "data": data.draw(st.permutations(rows)),
            "model": "m",
            "usage": {"prompt_tokens": len(rows), "total_tokens": len(rows)},
        }
        replies.append(Reply(200, {}, orjson.dumps(told)))
    outcome = ask(
        Operation.EMBEDDINGS,
        {"input": inputs} | ({"encoding_format": "base64"} if packed else {}),
        replies,
    )
    assert [orjson.loads(call.body or b"")["input"] for call in outcome.calls] == [
        inputs[at : at + 2] for at in range(0, len(inputs), 2)
    ]
    assert outcome.answer is not None
    assert outcome.answer.body is not None
    rows = outcome.answer.body["data"]
    assert [row["index"] for row in rows] == list(range(len(inputs)))
    if not packed:
        assert [row["embedding"] for row in rows] == [
            [float(number)] for number in range(len(inputs))
        ]
    assert outcome.answer.body["usage"]["total_tokens"] == len(inputs)
