"""Real answers of providers, replayed through the adapters.

The recordings are reference data beside the repository: MODELKEEP_RECORDED names the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from providers import registry
from providers.errors import Failure, ProviderError
from providers.spec import Access, ModelFacts, Operation, Reply, Request, Upload, Usage
from tests.providers.driving import at_once, drive, each_byte, run

FOLDER = Path(os.environ.get("MODELKEEP_RECORDED") or Path(__file__).resolve().parents[3] / "shared" / "recorded")
ADAPTER = {"openai": "openai", "anthropic": "anthropic", "chatglm_zhipu": "chatglm"}
BASE = {"chatglm_zhipu": "https://api.z.ai/api/paas/v4"}

# What is not offered yet, with the reason. A recording that is neither here nor expected below fails.
LATER = {
    "openai/chat_audio_out": "audio as output: the answer passes through, nothing of it is read",
    "openai/moderation_text_2023": "moderation is not offered yet",
    "anthropic/complete_2023": "text completions of 2023, switched off in 2024",
    "anthropic/count_tokens": "counting tokens is no operation of the endpoint",
}

# What a client must see. text: the start of the content; usage: prompt, completion, cached, reasoning.
CHAT: dict[str, dict[str, Any]] = {
    "openai/chat_audio_in": {"text": "Please play the audio", "usage": (28, 17, 0, 0)},
    "openai/chat_basic": {"text": "Hi there! How can I help", "usage": (8, 377, 0, 320)},
    "openai/chat_image_input": {"text": "A tiny blue cartoon character.", "usage": (22, 719, 0, 704)},
    "openai/chat_parallel_tools": {"tools": [("get_current_weather", {"location": "San Francisco, CA"})], "usage": (162, 219, 0, 192)},
    "openai/chat_reasoning": {},
    "openai/chat_stream": {"stream": True, "finish": "stop", "usage": None},
    "openai/chat_stream_usage": {"text": "", "finish": "length", "usage": (12, 100, 0, 100), "stream": True},
    "openai/chat_stream_web_search": {"stream": True, "finish": "stop", "usage": None},
    "openai/chat_tools": {},
    "anthropic/message_2024": {},
    "anthropic/message_image": {},
    "anthropic/message_sonnet5": {},
    "anthropic/message_structured": {
        "tools": [("_structured_tool_call", {"data": {"title": "Apples are tasty", "author": "Hadley Wickham"}})],
        "usage": (732, 58, 0, 0),
    },
    "anthropic/stream_opus46_adaptive": {
        "stream": True,
        "finish": "stop",
        "usage": (34, 44, 0, None),
        "reasoning": "Brief answer with two pet",
    },
    "anthropic/stream_tools": {"stream": True, "tools": [("pelican_name_generator", {})], "usage": (543, 40, 0, None)},
    "anthropic/tool_image_result": {"text": "Here's an adorable kitten for you! 🐱", "usage": (925, 75, 0, 0)},
    "anthropic/tool_use_1": {"tools": [("current_date", {})]},
    "anthropic/tool_use_2": {},
    "chatglm_zhipu/zai_chat_simple_glm47": {"text": "2 + 2 is 4.", "reasoning": "\n1.  **Analyze the user's input**"},
    "chatglm_zhipu/zai_glm52_reasoning_effort": {"text": "2 + 2 = 4", "reasoning": "1.  Identify the core", "usage": (20, 67, 0, 58)},
    "chatglm_zhipu/zai_glm53_effort_1": {"text": "2 + 2 = 4", "reasoning": "The user is asking a simple"},
    "chatglm_zhipu/zai_tools_1": {"text": "17 * 19 is 323.", "reasoning": "\nThe user is asking for the product"},
    "chatglm_zhipu/zai_vision": {
        "text": "\nThe fruit in the image is a kiwi.",
        "reasoning": "Got it, let's see.",
        "usage": (435, 73, 4, 56),
    },
}
ERRORS = {
    "openai/chat_bad_request": (Failure.BAD_REQUEST, "unsupported_parameter", "max_tokens"),
    "openai/chat_error_401": (Failure.AUTH, "invalid_api_key", None),
    "openai/chat_web_search_not_supported_400": (Failure.BAD_REQUEST, "invalid_request_error", None),
    "openai/embeddings_unknown_model": (Failure.MODEL_NOT_FOUND, "model_not_found", None),
    "anthropic/error_400": (Failure.BAD_REQUEST, "invalid_request_error", None),
    "anthropic/error_400_effort": (Failure.BAD_REQUEST, "invalid_request_error", None),
    "anthropic/error_401": (Failure.AUTH, "authentication_error", None),
    "anthropic/error_401_2026": (Failure.AUTH, "authentication_error", None),
    "anthropic/error_404_model": (Failure.MODEL_NOT_FOUND, "not_found_error", None),
    "anthropic/error_context_length": (Failure.CONTEXT_LENGTH, "invalid_request_error", None),
    "chatglm_zhipu/zai_error_401_no_auth": (Failure.AUTH, "1001", None),
}
EMBEDDINGS = ("openai/embeddings_base64", "openai/embeddings_basic")
AUDIO = ("openai/transcription", "openai/transcription_voice", "openai/translation")
LISTS = ("openai/models_list_2023", "anthropic/models_list")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the recordings are not at {FOLDER}; set MODELKEEP_RECORDED")


def load(name: str) -> tuple[dict[str, Any], Reply]:
    """The recording's description, and its answer."""
    meta = json.loads((FOLDER / f"{name}.meta.json").read_text())
    response = meta["response"]
    headers = {key: value for key, value in response.get("headers", {}).items() if key != "content-encoding"}
    return meta, Reply(response["status"], headers, (FOLDER / name).parent.joinpath(response["body_file"]).read_bytes())


def account(name: str) -> tuple[Any, Access]:
    folder = name.partition("/")[0]
    return registry.get(ADAPTER[folder]), Access({"api_key": "sk-test-0123456789"}, BASE.get(folder, ""))


def chat_request(model: str, *, stream: bool = False) -> Request:
    return Request(Operation.CHAT, model, {"messages": [{"role": "user", "content": "as recorded"}]}, stream)


def spoken(body: Mapping[str, Any], folder: str) -> tuple[str, str, str]:
    """Text, reasoning and finish of a recorded body, read the plain way: the recordings are their own expectation."""
    if folder == "anthropic":
        blocks = body["content"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        finish = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}[body["stop_reason"]]
        return text, "".join(block["thinking"] for block in blocks if block["type"] == "thinking"), finish
    message = body["choices"][0]["message"]
    return message["content"] or "", message.get("reasoning_content", ""), body["choices"][0]["finish_reason"]


def called(message: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls", ())]


def calls_in(body: Mapping[str, Any], folder: str) -> list[tuple[str, Any]]:
    """Tool calls of a recorded body."""
    if folder == "anthropic":
        return [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
    return called(body["choices"][0]["message"])


def test_every_recording_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    found = {f"{folder}/{path.name.removesuffix('.meta.json')}" for folder in ADAPTER for path in (FOLDER / folder).glob("*.meta.json")}
    expected = {*CHAT, *ERRORS, *EMBEDDINGS, *AUDIO, *LISTS}
    assert found == expected | LATER.keys()
    with capsys.disabled():
        print(f"\nrecorded traffic: {len(expected)} of {len(found)} cases replayed")
        for name in sorted(found):
            print(f"  {name:<45} {LATER.get(name, 'replayed')}")


@pytest.mark.parametrize("cut", [at_once, each_byte])
@pytest.mark.parametrize("name", CHAT)
def test_chat(name: str, cut: Any) -> None:
    expected = CHAT[name]
    provider, access = account(name)
    meta, reply = load(name)
    outcome = run(
        provider,
        chat_request(meta["request"]["body"]["model"], stream=expected.get("stream", False)),
        access,
        ModelFacts(),
        [reply],
        cut=cut,
    )
    message = outcome.message
    assert (message.get("content") or "").startswith(expected.get("text", ""))
    assert (message.get("reasoning_content") or "").startswith(expected.get("reasoning", ""))
    if "tools" in expected:
        assert called(message) == expected["tools"]
    if "usage" in expected:
        assert outcome.usage == (Usage(*expected["usage"]) if expected["usage"] else None)
    if "finish" in expected:
        assert outcome.finish_reason == expected["finish"]
    if not expected.get("stream"):
        body, folder = json.loads(reply.body), name.partition("/")[0]
        assert (message["content"] or "", message.get("reasoning_content") or "", outcome.finish_reason) == spoken(body, folder)
        assert called(message) == calls_in(body, folder)
        assert outcome.usage is not None
        assert outcome.usage.prompt_tokens


def test_openai_streams_are_relayed_untouched() -> None:
    for name in ("openai/chat_stream", "openai/chat_stream_usage", "openai/chat_stream_web_search"):
        provider, access = account(name)
        _meta, reply = load(name)
        outcome = run(provider, chat_request("gpt-5-nano", stream=True), access, ModelFacts(), [reply])
        sent = [line.removeprefix(b"data: ") for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
        assert [frame.data for frame in outcome.frames] == sent
        text = "".join(json.loads(data)["choices"][0]["delta"].get("content") or "" for data in sent if json.loads(data)["choices"])
        assert outcome.output_characters == len(text)
        assert [frame.usage_only for frame in outcome.frames] == [not json.loads(data)["choices"] for data in sent]


def test_thinking_can_be_replayed() -> None:
    """A signed thought of the stream goes back before the tool calls, as it came."""
    provider, access = account("anthropic/x")
    _meta, reply = load("anthropic/stream_opus46_adaptive")
    message = run(provider, chat_request("claude-opus-4-6", stream=True), access, ModelFacts(), [reply]).message
    [block] = message["provider_blocks"]
    assert block["type"] == "thinking"
    assert block["thinking"] == message["reasoning_content"]
    assert len(block["signature"]) > 50
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", **message}, {"role": "user", "content": "more"}]
    outcome = run(
        provider,
        Request(Operation.CHAT, "claude-opus-4-6", {"messages": messages}),
        access,
        ModelFacts(),
        [load("anthropic/message_2024")[1]],
    )
    body = outcome.calls[0].body
    assert body is not None
    assert json.loads(body)["messages"][1]["content"][0] == block


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    provider, access = account(name)
    _meta, reply = load(name)
    with pytest.raises(ProviderError) as caught:
        run(provider, chat_request("m"), access, ModelFacts(), [reply])
    failure, code, param = ERRORS[name]
    assert (caught.value.failure, caught.value.provider_code, caught.value.status) == (failure, code, reply.status)
    assert param in (None, caught.value.param)
    assert caught.value.message


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(name: str) -> None:
    provider, access = account(name)
    meta, reply = load(name)
    body = meta["request"]["body"]
    outcome = run(provider, Request(Operation.EMBEDDINGS, body["model"], body), access, ModelFacts(), [reply])
    recorded = json.loads(reply.body)
    assert outcome.answer is not None
    assert outcome.answer.body == recorded
    assert outcome.usage == Usage(recorded["usage"]["prompt_tokens"])


@pytest.mark.parametrize("name", AUDIO)
def test_audio(name: str) -> None:
    provider, access = account(name)
    _meta, reply = load(name)
    operation = Operation.TRANSLATION if name.endswith("translation") else Operation.TRANSCRIPTION
    upload = Upload("speech.wav", "audio/wav", b"RIFF....WAVE")
    outcome = run(provider, Request(operation, "whisper-1", {}, upload=upload), access, ModelFacts(), [reply])
    recorded = json.loads(reply.body)
    assert outcome.answer is not None
    assert outcome.answer.body is not None
    assert outcome.answer.body["text"] == recorded["text"]
    if recorded.get("usage", {}).get("type") == "duration":
        assert outcome.usage == Usage(audio_seconds=recorded["usage"]["seconds"])
    elif "usage" in recorded:
        assert outcome.usage == Usage(recorded["usage"]["input_tokens"], recorded["usage"]["output_tokens"])


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    provider, access = account(name)
    _meta, reply = load(name)
    assert provider.list_models is not None
    ask = provider.list_models
    found = {model.name: model for model in drive(lambda: ask(provider, access), provider, [reply]).answer}
    recorded = {row["id"] for row in json.loads(reply.body)["data"]}
    assert found.keys() <= recorded
    if name.startswith("anthropic"):
        assert found.keys() == recorded
        opus = found["claude-opus-5"]
        assert (opus.label, opus.context_window, opus.max_output) == ("Claude Opus 5", 1_000_000, 128_000)
        assert opus.features == {"vision", "pdf", "json_schema", "reasoning", "tools"}
    else:
        assert {"whisper-1", "text-embedding-ada-002", "gpt-3.5-turbo"} <= found.keys()
