"""What a case file of Replicate cannot tell: files too large for it, the kept descriptions, looks
at a model, wild answers.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters.replicate import LARGEST_DATA_URI
from providers.declaration import registry
from providers.declaration.errors import CannotExpress, ProviderError
from providers.declaration.spec import (
    Access,
    ModelFacts,
    ModelType,
    Operation,
    Reply,
    Request,
    Upload,
)
from providers.wire import tokens
from tests.providers.driving import Outcome, drive, run
from tests.providers.wire.test_fuzz import JSON

ACCESS = Access({"replicate_api_token": "r8_test0123456789"})
STORED = Reply(
    201, {}, orjson.dumps({"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}})
)
DATA = b"R" * LARGEST_DATA_URI
IMAGE = f"data:image/png;base64,{base64.b64encode(DATA).decode()}"


def model(**inputs: str) -> Reply:
    properties = {name: {"type": kind} for name, kind in inputs.items()}
    schemas = {"Input": {"properties": properties}, "Output": {"type": "string"}}
    described = {
        "is_official": True,
        "latest_version": {"openapi_schema": {"components": {"schemas": schemas}}},
    }
    return Reply(200, {}, orjson.dumps(described))


def ask(request: Request, *replies: Reply) -> Outcome:
    tokens._tokens.clear()
    done = Reply(201, {}, orjson.dumps({"id": "p1", "status": "succeeded", "output": "Cat"}))
    return run(registry.get("replicate"), request, ACCESS, ModelFacts(), [*replies, done])


def asking_about(*images: str) -> Request:
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return Request(
        Operation.CHAT,
        "acme/llava",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, *parts]}]},
    )


def test_a_large_image() -> None:
    outcome = ask(asking_about(IMAGE), model(prompt="string", image="string"), STORED)
    stored, made = outcome.calls[1:]
    assert (stored.method, stored.url) == ("POST", "https://api.replicate.com/v1/files")
    assert stored.body is not None
    assert (
        b'name="content"; filename="image.png"\r\nContent-Type: image/png\r\n\r\nRRR' in stored.body
    )
    assert DATA in stored.body
    assert orjson.loads(made.body or b"")["input"] == {
        "prompt": "What?",
        "image": "https://api.replicate.com/v1/files/f1",
    }


def test_the_large_ones_of_several_images() -> None:
    outcome = ask(
        asking_about("https://example.com/a.png", IMAGE),
        model(prompt="string", images="array"),
        STORED,
    )
    made = orjson.loads(outcome.calls[2].body or b"")
    assert made["input"]["images"] == [
        "https://example.com/a.png",
        "https://api.replicate.com/v1/files/f1",
    ]


def test_a_large_image_that_is_none() -> None:
    with pytest.raises(CannotExpress) as caught:
        ask(asking_about(IMAGE + "!"), model(prompt="string", image="string"))
    assert caught.value.param == "messages"


def test_a_long_recording() -> None:
    request = Request(
        Operation.TRANSCRIPTION, "acme/whisper", {}, upload=Upload("voice.wav", "audio/wav", DATA)
    )
    outcome = ask(request, model(audio="string"), STORED)
    assert b'name="content"; filename="voice.wav"' in (outcome.calls[1].body or b"")
    assert orjson.loads(outcome.calls[2].body or b"")["input"] == {
        "audio": "https://api.replicate.com/v1/files/f1"
    }


def test_a_model_is_described_once_an_hour_and_only_to_the_account_that_asked() -> None:
    request = Request(Operation.CHAT, "acme/llm", {"messages": [{"role": "user", "content": "Hi"}]})
    ask(request, model(prompt="string"))
    done = Reply(201, {}, orjson.dumps({"id": "p1", "status": "succeeded", "output": "Cat"}))
    provider = registry.get("replicate")
    assert len(run(provider, request, ACCESS, ModelFacts(), [done]).calls) == 1
    assert (
        len(
            run(
                provider,
                request,
                Access({"replicate_api_token": "r8_other"}),
                ModelFacts(),
                [model(prompt="string"), done],
            ).calls
        )
        == 2
    )
    refused = Reply(
        422, {}, orjson.dumps({"detail": "- input.prompt: no longer there", "status": 422})
    )
    with pytest.raises(Exception, match="no longer there"):
        run(provider, request, ACCESS, ModelFacts(), [refused])
    assert (
        len(run(provider, request, ACCESS, ModelFacts(), [model(prompt="string"), done]).calls) == 2
    )


# The look at a model, before it is added.

TEXTS = {"type": "array", "items": {"type": "string"}}
IMAGES = {"type": "array", "items": {"type": "string", "format": "uri"}}
NUMBERS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


def look(
    kind: ModelType,
    inputs: dict[str, Any],
    output: dict[str, Any],
    name: str = "acme/llm",
    status: int = 200,
) -> Outcome:
    provider = registry.get("replicate")
    check_model = provider.check_model
    assert check_model is not None
    described: dict[str, Any] = {
        "latest_version": {
            "openapi_schema": {
                "components": {"schemas": {"Input": {"properties": inputs}, "Output": output}}
            }
        }
    }
    reply = Reply(
        status,
        {},
        orjson.dumps(described if status == 200 else {"detail": "Not found", "status": status}),
    )
    return drive(lambda: check_model(provider, ACCESS, name, kind), provider, [reply])


def test_a_look_at_a_model_is_free() -> None:
    outcome = look(ModelType.REASONING, {"prompt": {"type": "string"}}, TEXTS)
    assert [(call.method, call.url) for call in outcome.calls] == [
        ("GET", "https://api.replicate.com/v1/models/acme/llm")
    ]
    look(ModelType.EMBEDDING, {"texts": {"type": "string"}}, NUMBERS)
    look(
        ModelType.SPEECH_TO_TEXT,
        {"audio_path": {"type": "string", "format": "uri"}},
        {"type": "string"},
    )


@pytest.mark.parametrize(
    ("kind", "inputs", "output"),
    [
        (ModelType.REASONING, {"prompt": {"type": "string"}}, IMAGES),
        (ModelType.REASONING, {"prompt": {"type": "string"}}, NUMBERS),
        (ModelType.REASONING, {"audio": {"type": "string", "format": "uri"}}, TEXTS),
        (ModelType.EMBEDDING, {"prompt": {"type": "string"}}, IMAGES),
        (ModelType.EMBEDDING, {"audio": {"type": "string"}}, NUMBERS),
        (ModelType.SPEECH_TO_TEXT, {"prompt": {"type": "string"}}, TEXTS),
    ],
)
def test_a_model_of_another_type_is_found_out(
    kind: ModelType, inputs: dict[str, Any], output: dict[str, Any]
) -> None:
    with pytest.raises(ProviderError, match="do not match the type"):
        look(kind, inputs, output)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ProviderError) as caught:
        look(ModelType.REASONING, {}, {}, status=404)
    assert caught.value.failure.value == "model_not_found"
    with pytest.raises(CannotExpress):
        look(ModelType.REASONING, {}, {}, name="llama")


# Wild answers


@settings(max_examples=80, deadline=None)
@given(value=JSON, stream=st.booleans())
def test_any_description(value: Any, stream: bool) -> None:
    request = Request(
        Operation.CHAT, "acme/llm", {"messages": [{"role": "user", "content": "Hi"}]}, stream
    )
    described = {
        "latest_version": {
            "openapi_schema": {"components": {"schemas": {"Input": value, "Output": value}}}
        }
    }
    for body in (value, described):
        with suppress(ProviderError):
            ask(request, Reply(200, {}, orjson.dumps(body)))


@settings(max_examples=80, deadline=None)
@given(
    value=JSON,
    output=JSON,
    stream=st.booleans(),
    operation=st.sampled_from([Operation.CHAT, Operation.EMBEDDINGS]),
)
def test_any_prediction(value: Any, output: Any, stream: bool, operation: Operation) -> None:
    body = (
        {"messages": [{"role": "user", "content": "Hi"}]}
        if operation is Operation.CHAT
        else {"input": "Hi"}
    )
    request = Request(operation, "acme/llm", body, stream and operation is Operation.CHAT)
    for told in (
        value,
        {"id": "p1", "status": "succeeded", "output": output, "metrics": value, "error": value},
        {"id": "p1", "urls": value},
    ):
        tokens._tokens.clear()
        replies = [
            model(prompt="string", texts="string"),
            Reply(201, {}, orjson.dumps(told)),
            Reply(200, {}, orjson.dumps({"status": "failed", "error": value})),
        ]
        with suppress(ProviderError, AssertionError):
            run(registry.get("replicate"), request, ACCESS, ModelFacts(), replies)
