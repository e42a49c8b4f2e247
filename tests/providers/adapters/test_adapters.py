"""Checks of credentials, lists of models and guesses of types, adapter by adapter."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import wave
from typing import Any

import orjson
import pytest

from providers.credentials import validation
from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    ModelFacts,
    ModelType,
    Operation,
    Reply,
    Request,
)
from tests.providers.case import PLAYED
from tests.providers.driving import Outcome, drive, run

KEYED = Access({"api_key": "test-key-0123456789"})
LOCAL = Access({}, "http://127.0.0.1:8000/v1")
MODELS = {
    "object": "list",
    "data": [{"id": "gpt-4o", "object": "model"}, {"id": "sora-2", "object": "model"}],
}


def reply(body: Any, status: int = 200, content_type: str = "application/json") -> Reply:
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, {"content-type": content_type}, text.encode())


def openai_error(
    status: int, code: str | None, message: str = "No", kind: str = "invalid_request_error"
) -> Reply:
    return reply({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)


def anthropic_error(status: int, kind: str, message: str = "No") -> Reply:
    return reply({"type": "error", "error": {"type": kind, "message": message}}, status)


def check(slug: str, access: Access, *replies: Reply) -> Outcome:
    provider = registry.get(slug)
    ask = provider.check
    assert ask is not None
    return drive(
        lambda: ask(provider, access), provider, replies, secrets=list(access.values.values())
    )


def names(slug: str, access: Access, *replies: Reply) -> list[Any]:
    provider = registry.get(slug)
    ask = provider.list_models
    assert ask is not None
    found: list[Any] = drive(lambda: ask(provider, access), provider, replies).answer  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("slug", "access", "url"),
    [
        ("openai", KEYED, "https://api.openai.com/v1/models"),
        ("anthropic", KEYED, "https://api.anthropic.com/v1/models?limit=1"),
        ("openai_compatible", LOCAL, "http://127.0.0.1:8000/v1/models"),
        ("chatglm", LOCAL, "http://127.0.0.1:8000/v1/models"),
    ],
)
def test_a_check_is_one_free_call(slug: str, access: Access, url: str) -> None:
    [call] = check(slug, access, reply(MODELS)).calls
    assert (call.method, call.url, call.body) == ("GET", url, None)
    assert not registry.get(slug).check_is_billed


HTML = reply("<!doctype html><h1>It works!</h1>", content_type="text/html")
FAILURES = [
    ("openai", openai_error(401, "invalid_api_key"), Failure.AUTH),
    (
        "openai",
        openai_error(429, "insufficient_quota", kind="insufficient_quota"),
        Failure.NO_FUNDS,
    ),
    (
        "openai",
        openai_error(403, None, "Country, region, or territory not supported"),
        Failure.PERMISSION,
    ),
    ("openai", openai_error(404, "model_not_found"), Failure.MODEL_NOT_FOUND),
    ("anthropic", anthropic_error(401, "authentication_error"), Failure.AUTH),
    ("anthropic", anthropic_error(402, "billing_error"), Failure.NO_FUNDS),
    ("anthropic", anthropic_error(403, "permission_error"), Failure.PERMISSION),
    ("openai_compatible", openai_error(401, None), Failure.AUTH),
    ("openai_compatible", openai_error(402, None), Failure.NO_FUNDS),
    ("openai_compatible", openai_error(403, None), Failure.PERMISSION),
    *(
        (slug, HTML, Failure.NOT_AN_API)
        for slug in ("openai", "anthropic", "openai_compatible", "chatglm")
    ),
    *(
        (slug, reply({"hello": "world"}), Failure.NOT_AN_API)
        for slug in ("openai", "anthropic", "openai_compatible", "chatglm")
    ),
    *(
        (slug, reply("[]"), Failure.NOT_AN_API)
        for slug in ("openai", "anthropic", "openai_compatible", "chatglm")
    ),
    *(
        (slug, reply("not here", 404, "text/plain"), Failure.NOT_AN_API)
        for slug in ("openai", "anthropic", "openai_compatible")
    ),
    *(
        (slug, reply("x", 302), Failure.NOT_AN_API)
        for slug in ("openai", "anthropic", "openai_compatible", "chatglm")
    ),
    *(
        (slug, reply("x", 500), Failure.ERROR)
        for slug in ("openai", "anthropic", "openai_compatible", "chatglm")
    ),
]


@pytest.mark.parametrize(("slug", "answer", "failure"), FAILURES)
def test_failures_of_a_check_are_told_apart(slug: str, answer: Reply, failure: Failure) -> None:
    # A server without a list of models is asked for a chat.
    again = [answer] if slug == "openai_compatible" and answer.status == 404 else []
    with pytest.raises(ProviderError) as caught:
        check(slug, LOCAL if slug in ("openai_compatible", "chatglm") else KEYED, answer, *again)
    assert caught.value.failure is failure


MISSING_SCOPE = openai_error(
    403,
    None,
    "You have insufficient permissions for this operation. Missing scopes: api.model.read.",
)


def test_a_restricted_openai_key_is_tried_with_a_chat_of_few_tokens() -> None:
    outcome = check("openai", KEYED, MISSING_SCOPE, reply({"choices": []}))
    assert [call.url.rpartition("/v1/")[2] for call in outcome.calls] == [
        "models",
        "chat/completions",
    ]
    assert json.loads(outcome.calls[1].body or b"")["max_completion_tokens"] == 16


@pytest.mark.parametrize(
    ("second", "failure"),
    [
        (openai_error(429, "insufficient_quota"), Failure.NO_FUNDS),
        (openai_error(404, "model_not_found"), Failure.MODEL_NOT_FOUND),
        (MISSING_SCOPE, Failure.PERMISSION),
    ],
)
def test_what_the_second_try_says_counts(second: Reply, failure: Failure) -> None:
    with pytest.raises(ProviderError) as caught:
        check("openai", KEYED, MISSING_SCOPE, second)
    assert caught.value.failure is failure


def test_chatglm_without_a_list_is_asked_one_question() -> None:
    nowhere = reply({"detail": "Not Found"}, 404)
    outcome = check(
        "chatglm", LOCAL, nowhere, reply({"response": "hi", "history": [], "status": 200})
    )
    assert outcome.calls[1].url == "http://127.0.0.1:8000/"
    for answer in (nowhere, reply({"hello": "world"}), HTML):
        with pytest.raises(ProviderError) as caught:
            check("chatglm", LOCAL, nowhere, answer)
        assert caught.value.failure is Failure.NOT_AN_API
    assert names("chatglm", LOCAL, nowhere) == []


def test_the_hosted_chatglm_is_never_asked_the_plain_way() -> None:
    hosted = Access({"api_key": "id.secret-0123456789"}, "https://api.z.ai/api/paas/v4")
    with pytest.raises(ProviderError) as caught:
        check("chatglm", hosted, reply({"detail": "Not Found"}, 404))
    assert caught.value.failure is Failure.NOT_AN_API
    with pytest.raises(ProviderError) as caught:
        check("chatglm", hosted, reply({"error": {"code": "1113", "message": "No money"}}, 429))
    assert caught.value.failure is Failure.NO_FUNDS


def test_lists() -> None:
    assert [model.name for model in names("openai", KEYED, reply(MODELS))] == ["gpt-4o"]
    dated = {
        "data": [
            {"id": "gpt-5", "shutdown_date": "2026-12-11T00:00:00Z"},
            {"id": "whisper-1", "shutdown_date": None},
            {"id": 7},
            "x",
        ]
    }
    found = names("openai", KEYED, reply(dated))
    assert [(model.name, model.type, model.retires) for model in found] == [
        ("gpt-5", ModelType.REASONING, "2026-12-11"),
        ("whisper-1", ModelType.SPEECH_TO_TEXT, ""),
    ]
    [served] = names(
        "openai_compatible",
        LOCAL,
        reply({"data": [{"id": "Qwen/Qwen3-8B", "max_model_len": 40960}]}),
    )
    assert (served.type, served.context_window) == (ModelType.REASONING, 40960)
    [old] = names("chatglm", LOCAL, reply({"data": [{"id": "gpt-3.5-turbo", "owned_by": "owner"}]}))
    assert old.name == "chatglm2-6b"


def test_anthropics_list_is_read_page_by_page() -> None:
    pages = [
        reply(
            {
                "data": [
                    {"id": "a", "max_input_tokens": 200_000, "retires_at": "2026-11-30T00:00:00Z"}
                ],
                "has_more": True,
            }
        ),
        reply(
            {
                "data": [{"id": "b", "capabilities": {"image_input": {"supported": False}}}],
                "has_more": False,
            }
        ),
    ]
    provider = registry.get("anthropic")
    ask = provider.list_models
    assert ask is not None
    outcome = drive(lambda: ask(provider, KEYED), provider, pages)
    first, second = outcome.answer  # type: ignore[misc]
    assert (first.name, first.context_window, first.features, first.retires) == (
        "a",
        200_000,
        None,
        "2026-11-30",
    )
    assert (second.name, second.features) == ("b", {"tools"})
    assert "after_id=a" in outcome.calls[1].url


@pytest.mark.parametrize(
    ("slug", "model", "kind"),
    [
        ("openai", "gpt-7", ModelType.REASONING),
        ("openai", "ft:gpt-4o:x", ModelType.REASONING),
        ("openai", "o9-mini", ModelType.REASONING),
        ("openai", "text-embedding-9", ModelType.EMBEDDING),
        ("openai", "gpt-4o-mini-transcribe", ModelType.SPEECH_TO_TEXT),
        ("openai", "gpt-4o-mini-tts", ModelType.TEXT_TO_SPEECH),
        ("openai", "omni-moderation-latest", ModelType.MODERATION),
        ("openai", "gpt-realtime", None),
        ("openai", "gpt-image-2", ModelType.IMAGE),
        ("openai", "gpt-5.3-codex", ModelType.REASONING),
        ("openai", "dall-e-3", ModelType.IMAGE),
        ("openai_compatible", "BAAI/bge-m3", ModelType.EMBEDDING),
        ("openai_compatible", "bge-reranker-v2", ModelType.RERANK),
        ("openai_compatible", "hexgrad/Kokoro-82M", ModelType.TEXT_TO_SPEECH),
        ("openai_compatible", "gpt-4o-mini-tts", ModelType.TEXT_TO_SPEECH),
        ("openai_compatible", "omni-moderation-latest", ModelType.MODERATION),
        ("openai_compatible", "flux.1-dev", ModelType.IMAGE),
        ("openai_compatible", "llama3", ModelType.REASONING),
        ("openai_compatible", "faster-whisper-large", ModelType.SPEECH_TO_TEXT),
        ("chatglm", "glm-9", ModelType.REASONING),
        ("chatglm", "embedding-4", ModelType.EMBEDDING),
        ("chatglm", "cogview-5", ModelType.IMAGE),
        ("anthropic", "claude-next", ModelType.REASONING),
        ("demo", "demo-embedding", ModelType.EMBEDDING),
    ],
)
def test_guessed_types(slug: str, model: str, kind: ModelType | None) -> None:
    guess = registry.get(slug).guess_type
    assert guess is not None
    assert guess(model) is kind


def test_demo_needs_nothing() -> None:
    assert check("demo", Access({})).calls == []
    kinds = ("chat", "embedding", "transcribe", "speech", "rerank", "moderation", "image")
    assert {model.name for model in names("demo", Access({}))} == {f"demo-{kind}" for kind in kinds}


@pytest.mark.parametrize(
    ("text", "seconds"), [("Hi", 0.12), ("Hello there, how are you?", 1.5), ("long " * 1000, 5.0)]
)
def test_demo_speaks_a_wav_file_as_long_as_the_text(text: str, seconds: float) -> None:
    body = {"input": text, "voice": "alloy", "response_format": "wav"}
    request = Request(Operation.SPEECH, "demo-speech", body)
    answer = run(registry.get("demo"), request, Access({}), ModelFacts(), []).answer
    assert answer is not None
    assert answer.content is not None
    assert answer.content_type == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 24000)
        assert sound.getnframes() / 24000 == pytest.approx(seconds, abs=0.01)
        assert any(sound.readframes(100))
    assert b"Modelkeep demonstration" in answer.content
    assert int.from_bytes(answer.content[4:8], "little") == len(answer.content) - 8


def test_demo_ranks_words_of_scripts_without_spaces() -> None:
    body = {"query": "红苹果", "documents": ["绿梨", "红苹果很好吃"]}
    answer = run(
        registry.get("demo"),
        Request(Operation.RERANK, "demo-rerank", body),
        Access({}),
        ModelFacts(),
        [],
    ).answer
    assert answer is not None
    assert answer.body is not None
    assert [(one["index"], one["relevance_score"]) for one in answer.body["results"]] == [
        (1, 1.0),
        (0, 0.0),
    ]


def demo_vectors(**body: Any) -> list[Any]:
    provider = registry.get("demo")
    outcome = run(
        provider,
        Request(Operation.EMBEDDINGS, "demo-embedding", body),
        Access({}),
        ModelFacts(),
        [],
    )
    assert outcome.answer is not None
    assert outcome.answer.body is not None
    return [row["embedding"] for row in outcome.answer.body["data"]]


def test_demo_vectors_are_the_same_every_time_and_of_length_one() -> None:
    first, second = demo_vectors(input=["a", "b"])
    assert first != second
    assert demo_vectors(input="a") == [first]
    assert math.isclose(math.fsum(value * value for value in first), 1.0)
    assert len(demo_vectors(input="a", dimensions=8)[0]) == 8
    assert len(demo_vectors(input="a", dimensions=True)[0]) == len(demo_vectors(input="a")[0])
    packed = base64.b64decode(demo_vectors(input="a", encoding_format="base64")[0])
    assert struct.unpack(f"<{len(first)}f", packed) == pytest.approx(first)


@pytest.mark.parametrize(
    ("values", "host"),
    [
        ({}, "dashscope.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, "dashscope-intl.aliyuncs.com"),
        (
            {"region": "cn-hongkong", "workspace_id": "llm-Ab_1"},
            "llm-ab_1.cn-hongkong.maas.aliyuncs.com",
        ),
        ({"workspace_id": "llm-1"}, "llm-1.cn-beijing.maas.aliyuncs.com"),
    ],
)
def test_tongyi_region_and_workspace_name_the_host(values: dict[str, str], host: str) -> None:
    assert validation.derived_base_url(registry.get("tongyi"), values) in (
        "",
        f"https://{host}/compatible-mode/v1",
    )
    assert registry.get("tongyi").base_url_of(values) == f"https://{host}/compatible-mode/v1"  # type: ignore[misc]


@pytest.mark.parametrize(
    "workspace",
    [
        "evil.example/",
        "a.b",
        "a@b",
        "a:1",
        "-a",
        "a" * 64,
        "a\n",
        "a#",
        "x?y",
        "\u0430",
        "..",
        "%2e",
    ],
)
def test_tongyi_workspace_cannot_name_another_host(workspace: str) -> None:
    with pytest.raises(validation.InvalidValue):
        validation.derived_base_url(registry.get("tongyi"), {"workspace_id": workspace})


def test_tongyi_asks_for_a_workspace_where_a_region_has_no_shared_gateway() -> None:
    with pytest.raises(validation.InvalidValue, match="workspace"):
        validation.derived_base_url(registry.get("tongyi"), {"region": "eu-central-1"})
    with pytest.raises(validation.InvalidValue):
        validation.derived_base_url(registry.get("tongyi"), {"region": "moon"})


def test_vllms_chunks_and_whole_answers_become_the_events_of_a_transcript() -> None:
    told = [
        case
        for case in PLAYED
        if case.slug == "openai_compatible"
        and str(case.told.get("shows")).startswith("transcript streamed")
    ]
    whole = [case for case in told if "error" not in case.expect]
    assert len(whole) == 3
    for case in whole:
        frames = run(case.provider, case.request, case.access, case.facts, case.replies()).frames
        *pieces, last = [orjson.loads(frame.data) for frame in frames]
        assert {piece["type"] for piece in pieces} == {"transcript.text.delta"}
        assert "".join(piece["delta"] for piece in pieces) == last["text"] == "One two"
        assert last["type"] == "transcript.text.done"


def test_a_sound_becomes_events_that_hold_all_of_it() -> None:
    sound = bytes(range(256)) * 300
    answers = [Reply(200, {"content-type": "audio/mpeg"}, sound)]
    request = Request(Operation.SPEECH, "m", {"input": "Hi", "stream_format": "sse"}, stream=True)
    frames = run(
        registry.get("openai_compatible"),
        request,
        Access({}, "https://models.example.com"),
        ModelFacts(),
        answers,
    ).frames
    *pieces, last = [orjson.loads(frame.data) for frame in frames]
    assert b"".join(base64.b64decode(piece["audio"]) for piece in pieces) == sound
    assert len(pieces) == 4
    assert last == {"type": "speech.audio.done"}
