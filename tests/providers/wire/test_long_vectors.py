"""Long answers with embeddings: their vectors are passed on unparsed, and checked all the same."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.long_json import without_vectors
from providers.declaration import registry
from providers.declaration.error_bodies import shortened
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Answer, ModelFacts, Operation, Reply, Request
from providers.wire.openai.embeddings import packed

VECTOR = [0.25, -1e-05, 3, 0.125]


def answer_of(body: bytes, inputs: list[str], encoding: str | None = None) -> Answer:
    provider = registry.get("openai")
    sent: dict[str, Any] = {"input": inputs}
    if encoding:
        sent["encoding_format"] = encoding
    request = Request(Operation.EMBEDDINGS, "text-embedding-3-small", sent, False)
    exchange = provider.operations[Operation.EMBEDDINGS](
        provider, request, Access({"api_key": "sk-x"}), ModelFacts()
    )
    next(exchange)
    with pytest.raises(StopIteration) as ended:
        exchange.send(Reply(200, {"content-type": "application/json"}, body))
    result: Answer = ended.value.value
    return result


def body_of(vectors: list[Any], **more: Any) -> bytes:
    rows = [
        {"object": "embedding", "index": number, "embedding": vector}
        for number, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return json.dumps({"object": "list", "data": rows[::-1], "usage": usage, **more}).encode()


@pytest.mark.slow
def test_millions_of_numbers_are_passed_on() -> None:
    vectors = [[number / 7 for number in range(1536)]] * 2048
    answer = answer_of(body_of(vectors), ["x"] * 2048)
    rows = orjson.loads(orjson.dumps(answer.body))["data"]
    assert [row["index"] for row in rows] == list(range(2048))
    assert rows[0]["embedding"] == rows[-1]["embedding"] == vectors[0]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 7


def test_they_are_packed_where_the_client_wants_that() -> None:
    vectors = [VECTOR * 400] * 200
    answer = answer_of(body_of(vectors), ["x"] * 200, "base64")
    assert answer.body is not None
    assert answer.body["data"][0]["embedding"] == packed(vectors[0])


@pytest.mark.parametrize(
    "damage",
    [b"[1,,2]", b"[]", b"[ ]", b"[1 2]", b"[-]", b"[1e999e]", b"[01]", b"12", b"-1", b'"'],
)
def test_damaged_vectors_are_no_answer(damage: bytes) -> None:
    good = body_of([VECTOR * 4000] * 20)
    bad = good.replace(json.dumps(VECTOR * 4000).encode(), damage, 1)
    assert len(bad) > 256 * 1024
    with pytest.raises(ProviderError):
        answer_of(bad, ["x"] * 20)


def test_a_vector_too_few_is_no_answer() -> None:
    with pytest.raises(ProviderError, match="one embedding for each"):
        answer_of(body_of([VECTOR * 4000] * 20), ["x"] * 21)


def test_an_error_beside_vectors_is_seen() -> None:
    body = body_of([VECTOR * 4000] * 20, error={"message": "quota used up"})
    assert orjson.loads(shortened(Reply(200, {}, body)).body)["error"] == {
        "message": "quota used up"
    }


texts = st.text() | st.sampled_from(['"embedding":[1]', '\\"embedding": [2]', "embedding", "[3]"])
values = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(texts, inner)
        | st.fixed_dictionaries({"embedding": inner})
    ),
    max_leaves=20,
)


def check(value: Any, sparse: Any, vectors: list[bytes], seen: list[int]) -> None:
    """Compare a value with what is left of it; note the vectors in the order of the text."""
    if isinstance(value, dict):
        assert list(value) == list(sparse)
        for name, item in value.items():
            if name == "embedding" and isinstance(item, list) and isinstance(sparse[name], int):
                assert json.loads(vectors[sparse[name]]) == item
                seen.append(sparse[name])
            else:
                check(item, sparse[name], vectors, seen)
    elif isinstance(value, list):
        for item, other in zip(value, sparse, strict=True):
            check(item, other, vectors, seen)
    else:
        assert value == sparse


@given(values, st.sampled_from([None, 1]))
def test_only_vectors_are_taken_out(value: Any, indent: int | None) -> None:
    text, vectors = without_vectors(json.dumps(value, indent=indent).encode())
    seen: list[int] = []
    check(value, json.loads(text), vectors, seen)
    assert seen == list(range(len(vectors)))
