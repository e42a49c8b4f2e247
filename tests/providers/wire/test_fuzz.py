"""Wires against JSON of any shape: a provider's error at worst, never a crash; and what comes out
is always one line of JSON.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from providers.wire import tokens
from tests.providers.driving import run

pytestmark = pytest.mark.slow  # generated input

NAMES = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "index",
    "delta",
    "message",
    "role",
    "content",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "error",
    "code",
    "type",
    "text",
    "input",
    "thinking",
    "signature",
    "content_block",
    "stop_reason",
    "input_tokens",
    "output_tokens",
    "data",
    "embedding",
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "stream_options",
    "provider_blocks",
    "function_call",
    "image_url",
    "url",
    "file",
    "max_tokens",
    "stop",
    "reasoning_effort",
    "sid",
    "header",
    "result",
    "is_end",
    "error_code",
    "error_msg",
    "flag",
]
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "tool_use",
        "thinking",
        "message_start",
        "content_block_delta",
        "content_block_start",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)
FIRST_API = "wenxin with two keys"
CHATTING = [
    *(
        "openai",
        "azure_openai",
        "anthropic",
        "chatglm",
        "deepseek",
        "huggingface_hub",
        "openai_compatible",
        "minimax",
        "spark",
        "tongyi",
    ),
    *("wenxin", FIRST_API),
]


def ask(slug: str, reply: Reply, *, stream: bool, body: Any = None) -> Any:
    access = Access({"api_key": "k" * 20}, "https://models.example.com/v1")
    replies = [reply]
    if slug == FIRST_API:
        slug, access = "wenxin", Access({"api_key": "k" * 20, "secret_key": "s" * 20})
        replies.insert(0, Reply(200, {}, b'{"access_token":"a"}'))
        tokens._tokens.clear()
    request = Request(
        Operation.CHAT,
        "m",
        body if body is not None else {"messages": [{"role": "user", "content": "Hi"}]},
        stream,
    )
    return run(registry.get(slug), request, access, ModelFacts(), replies)


@pytest.mark.parametrize("slug", CHATTING)
@settings(max_examples=60, deadline=None)
@given(value=JSON, status=st.sampled_from([200, 200, 200, 400, 404, 429, 500]))
def test_any_answer(slug: str, value: Any, status: int) -> None:
    with suppress(ProviderError):
        outcome = ask(
            slug,
            Reply(status, {"content-type": "application/json"}, orjson.dumps(value)),
            stream=False,
        )
        assert isinstance(outcome.answer.body["choices"], list)


@pytest.mark.parametrize("slug", CHATTING)
@settings(max_examples=60, deadline=None)
@given(values=st.lists(JSON, max_size=4))
def test_any_stream(slug: str, values: list[Any]) -> None:
    stream = (
        b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values)
        + b"data: [DONE]\n\n"
    )
    with suppress(ProviderError):
        outcome = ask(slug, Reply(200, {"content-type": "text/event-stream"}, stream), stream=True)
        for frame in outcome.frames:
            assert b"\n" not in frame.data
            assert isinstance(orjson.loads(frame.data), dict)


@pytest.mark.parametrize("slug", CHATTING)
@settings(max_examples=60, deadline=None)
@given(
    body=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6),
    messages=st.lists(JSON, max_size=3),
)
def test_any_request(slug: str, body: dict[str, Any], messages: list[Any]) -> None:
    answer = {
        "id": "1",
        "type": "message",
        "content": [],
        "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
    }
    with suppress(ProviderError):
        outcome = ask(
            slug,
            Reply(200, {}, orjson.dumps(answer)),
            stream=False,
            body={**body, "messages": messages},
        )
        assert isinstance(orjson.loads(outcome.calls[-1].body or b""), dict)


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(max_size=30),
    kind=st.text(max_size=30),
    data=st.binary(max_size=50),
    field=st.text(max_size=20),
)
def test_no_upload_breaks_out_of_its_form(name: str, kind: str, data: bytes, field: str) -> None:
    request = Request(
        Operation.TRANSCRIPTION, "whisper-1", {field: "x"}, upload=Upload(name, kind, data)
    )
    outcome = run(
        registry.get("openai"),
        request,
        Access({"api_key": "k" * 20}),
        ModelFacts(),
        [Reply(200, {}, b'{"text":"a"}')],
    )
    call = outcome.calls[0]
    boundary = call.headers["Content-Type"].partition("boundary=")[2].encode()
    assert call.body is not None
    parts = call.body.split(b"--" + boundary)
    file = next(part for part in parts if b'name="file"; filename="' in part)
    head, _, content = file.partition(b"\r\n\r\n")
    assert content == data + b"\r\n"
    assert head.count(b"\r\n") == 2
    assert b"." in head.partition(b'filename="')[2].partition(b'"')[0]
