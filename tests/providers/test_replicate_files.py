"""Files that are too large for a data URI are stored before a prediction that names them; too large for a case file, too."""

from __future__ import annotations

import base64

import orjson
import pytest

from providers import registry
from providers.adapters.replicate import LARGEST_DATA_URI
from providers.errors import CannotExpress
from providers.spec import Access, ModelFacts, Operation, Reply, Request, Upload
from providers.wire import tokens
from tests.providers.driving import Outcome, run

ACCESS = Access({"replicate_api_token": "r8_test0123456789"})
STORED = Reply(201, {}, orjson.dumps({"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}}))
DATA = b"R" * LARGEST_DATA_URI
IMAGE = f"data:image/png;base64,{base64.b64encode(DATA).decode()}"


def model(**inputs: str) -> Reply:
    properties = {name: {"type": kind} for name, kind in inputs.items()}
    schemas = {"Input": {"properties": properties}, "Output": {"type": "string"}}
    described = {"is_official": True, "latest_version": {"openapi_schema": {"components": {"schemas": schemas}}}}
    return Reply(200, {}, orjson.dumps(described))


def ask(request: Request, *replies: Reply) -> Outcome:
    tokens._tokens.clear()
    done = Reply(201, {}, orjson.dumps({"id": "p1", "status": "succeeded", "output": "Cat"}))
    return run(registry.get("replicate"), request, ACCESS, ModelFacts(), [*replies, done])


def asking_about(*images: str) -> Request:
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return Request(Operation.CHAT, "acme/llava", {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, *parts]}]})


def test_a_large_image() -> None:
    outcome = ask(asking_about(IMAGE), model(prompt="string", image="string"), STORED)
    stored, made = outcome.calls[1:]
    assert (stored.method, stored.url) == ("POST", "https://api.replicate.com/v1/files")
    assert stored.body is not None
    assert b'name="content"; filename="image.png"\r\nContent-Type: image/png\r\n\r\nRRR' in stored.body
    assert DATA in stored.body
    assert orjson.loads(made.body or b"")["input"] == {"prompt": "What?", "image": "https://api.replicate.com/v1/files/f1"}


def test_the_large_ones_of_several_images() -> None:
    outcome = ask(asking_about("https://example.com/a.png", IMAGE), model(prompt="string", images="array"), STORED)
    made = orjson.loads(outcome.calls[2].body or b"")
    assert made["input"]["images"] == ["https://example.com/a.png", "https://api.replicate.com/v1/files/f1"]


def test_a_large_image_that_is_none() -> None:
    with pytest.raises(CannotExpress) as caught:
        ask(asking_about(IMAGE + "!"), model(prompt="string", image="string"))
    assert caught.value.param == "messages"


def test_a_long_recording() -> None:
    request = Request(Operation.TRANSCRIPTION, "acme/whisper", {}, upload=Upload("voice.wav", "audio/wav", DATA))
    outcome = ask(request, model(audio="string"), STORED)
    assert b'name="content"; filename="voice.wav"' in (outcome.calls[1].body or b"")
    assert orjson.loads(outcome.calls[2].body or b"")["input"] == {"audio": "https://api.replicate.com/v1/files/f1"}


def test_a_model_is_described_once_an_hour_and_only_to_the_account_that_asked() -> None:
    request = Request(Operation.CHAT, "acme/llm", {"messages": [{"role": "user", "content": "Hi"}]})
    ask(request, model(prompt="string"))
    done = Reply(201, {}, orjson.dumps({"id": "p1", "status": "succeeded", "output": "Cat"}))
    provider = registry.get("replicate")
    assert len(run(provider, request, ACCESS, ModelFacts(), [done]).calls) == 1
    assert len(run(provider, request, Access({"replicate_api_token": "r8_other"}), ModelFacts(), [model(prompt="string"), done]).calls) == 2
    refused = Reply(422, {}, orjson.dumps({"detail": "- input.prompt: no longer there", "status": 422}))
    with pytest.raises(Exception, match="no longer there"):
        run(provider, request, ACCESS, ModelFacts(), [refused])
    assert len(run(provider, request, ACCESS, ModelFacts(), [model(prompt="string"), done]).calls) == 2
