"""The endpoints beside chat, all the way: completions, speech, moderations, rerank, streamed
transcripts; errors, defaults, trials.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fakes.provider import SOUND, TEXT, FakeProvider, Running
from tests.gateway.conftest import KEY, WAV, Hub, running_hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

MODELS = {
    "writer": "reasoning",
    "speaker": "text-to-speech",
    "judge": "moderation",
    "ranker": "rerank",
    "vectors": "embedding",
    **{
        f"ranker@{mode}": "rerank" for mode in ("status:429:2", "status:401", "hang", "body:200:{}")
    },
    **{f"speaker@{mode}": "text-to-speech" for mode in ("status:500", "html", "body:200:{}")},
}
RANK = {"query": "red", "documents": ["the longest of these", {"text": "short"}, "of some length"]}
WORDS = [f"word{number}" for number in range(20)]


def name(model: str) -> str:
    return f"openai_compatible/{model}"


@pytest.fixture(scope="module")
def served(shared_hub: Hub) -> Hub:
    """A server of the workspace's own that has a model of each type."""
    base = f"{shared_hub.fake.url}/v1"
    shared_hub.seed(
        models=[
            {"provider": "openai_compatible", "model": model, "type": kind, "base_url": base}
            for model, kind in MODELS.items()
        ]
    )
    return shared_hub


@pytest.fixture
def ready(served: Hub, hub: Hub) -> Hub:
    return hub


def events(content: bytes) -> list[Any]:
    """The data of an event stream that ends as it must: each event in one line, nothing after the
    last.
    """
    assert content.endswith(b"\n\n")
    return [json.loads(event.removeprefix(b"data: ")) for event in content.split(b"\n\n")[:-1]]


# -------------------------------------------------------------------------------------- completions


def test_completion(ready: Hub) -> None:
    answer = ready.sdk().completions.create(
        model=name("writer"), prompt="Once", suffix="end", max_tokens=7, logprobs=1
    )
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion",
        TEXT,
        "stop",
    )
    [call] = ready.fake.calls
    assert call.path == "/v1/completions"
    assert call.json() == {
        "model": "writer",
        "prompt": "Once",
        "suffix": "end",
        "max_tokens": 7,
        "logprobs": 1,
    }
    record = ready.wait_for_record(answer._request_id)
    assert (
        record["status"],
        record["usage_source"],
        record["prompt_tokens"],
        record["completion_tokens"],
    ) == ("ok", "reported", 9, 7)


@pytest.mark.parametrize("asked", [True, False])
def test_completion_streamed(ready: Hub, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with ready.sdk().completions.with_streaming_response.create(
        model=name("writer"), prompt="Once", stream=True, **options
    ) as response:
        chunks = list(response.parse())
        records = ready.records(response.headers["x-request-id"])
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices).split() == WORDS
    assert any(chunk.usage is not None for chunk in chunks) is asked
    assert (records[0]["usage_source"], records[0]["completion_tokens"]) == ("reported", 20)


def test_a_stream_of_chunks_ends_in_done(ready: Hub) -> None:
    raw = ready.post(
        "/completions", {"model": name("writer"), "prompt": "Once", "stream": True}
    ).content
    assert raw.endswith(b"data: [DONE]\n\n")
    assert raw.count(b"[DONE]") == 1


def test_completions_are_refused_where_the_provider_has_none(ready: Hub) -> None:
    response = ready.post("/completions", {"model": "anthropic/claude-haiku-4-5", "prompt": "Once"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "invalid_request",
        "model",
    )
    assert "completions" in error["message"]
    assert ready.fake.count == 0


# ------------------------------------------------------------------------------------------- speech


def test_speech(ready: Hub) -> None:
    raw = ready.sdk().audio.speech.with_raw_response.create(
        model=name("speaker"), voice="alloy", input="Hello there", response_format="mp3", speed=1.5
    )
    assert raw.content == SOUND
    assert raw.headers["content-type"] == "audio/mpeg"
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.headers["x-modelkeep-model"] == "speaker"
    sent = ready.fake.calls[-1].json()
    assert sent == {
        "model": "speaker",
        "voice": "alloy",
        "input": "Hello there",
        "response_format": "mp3",
        "speed": 1.5,
    }
    record = ready.wait_for_record(raw.headers["x-request-id"])
    # Characters are no tokens, and nobody counted others.
    assert (record["status"], record["usage_source"], record["prompt_tokens"]) == (
        "ok",
        "none",
        None,
    )


def test_speech_to_a_file_with_the_sdk(ready: Hub, tmp_path: Any) -> None:
    with ready.sdk().audio.speech.with_streaming_response.create(
        model=name("speaker"), voice="alloy", input="Hello"
    ) as response:
        response.stream_to_file(tmp_path / "hello.mp3")
    assert (tmp_path / "hello.mp3").read_bytes() == SOUND


def test_speech_as_events_ends_as_its_format_does(ready: Hub) -> None:
    raw = ready.sdk().audio.speech.with_raw_response.create(
        model=name("speaker"), voice="alloy", input="Hello", stream_format="sse"
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(raw.content)
    assert b"".join(base64.b64decode(piece["audio"]) for piece in pieces) == SOUND
    assert {piece["type"] for piece in pieces} == {"speech.audio.delta"}
    assert last["type"] == "speech.audio.done"
    record = ready.wait_for_record(raw.headers["x-request-id"])
    assert (record["usage_source"], record["prompt_tokens"], record["completion_tokens"]) == (
        "reported",
        3,
        11,
    )


def test_demo_speaks_without_a_network(ready: Hub) -> None:
    answer = ready.sdk().audio.speech.create(
        model="demo/demo-speech", voice="alloy", input="Hello there", response_format="wav"
    )
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert 0.5 < sound.getnframes() / sound.getframerate() < 1
    assert ready.fake.count == 0


def test_a_long_sound_comes_through(ready: Hub) -> None:
    ready.fake.script("large:17")
    raw = ready.sdk().audio.speech.with_raw_response.create(
        model=name("speaker"), voice="alloy", input="Hello"
    )
    assert len(raw.content) == 17 * 1024 * 1024


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("status:500", 502, "provider_error"),
        ("html", 502, "provider_error"),
        ("body:200:{}", 502, "provider_error"),
    ],
)
def test_speech_that_fails_is_an_error_in_json(
    ready: Hub, mode: str, status: int, code: str
) -> None:
    for more in ({}, {"stream_format": "sse"}):
        response = ready.post(
            "/audio/speech",
            {"model": name(f"speaker@{mode}"), "input": "Hello", "voice": "alloy"} | more,
        )
        assert (response.status_code, response.headers["content-type"]) == (
            status,
            "application/json",
        )
        assert response.json()["error"]["code"] == code
        assert ready.record(response)["status"] == "error"


# -------------------------------------------------------------------------------------- moderations


@pytest.mark.parametrize(
    "given", ["Be kind", ["Be kind", "I kill time"], [{"type": "text", "text": "Be kind"}]]
)
def test_moderation(ready: Hub, given: Any) -> None:
    answer = ready.sdk().moderations.create(model=name("judge"), input=given)
    assert [result.flagged for result in answer.results] == (
        [False, True] if len(given) == 2 else [False]
    )
    assert ready.fake.calls[-1].json() == {"model": "judge", "input": given}
    record = ready.wait_for_record(answer._request_id)
    assert (record["status"], record["usage_source"]) == ("ok", "estimated")
    assert record["prompt_tokens"] > 0


def test_demo_judges_in_openais_form(ready: Hub) -> None:
    [result] = ready.sdk().moderations.create(model="demo/demo-moderation", input="Be kind").results
    assert result.flagged is False
    assert result.categories.violence_graphic is False
    assert result.category_scores.self_harm_intent == 0


# ------------------------------------------------------------------------------------------- rerank


def test_rerank(ready: Hub) -> None:
    response = ready.post(
        "/rerank", {**RANK, "model": name("ranker"), "top_n": 2, "return_documents": True}
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["id"], answer["object"], answer["model"]) == ("rerank-fake", "rerank", "ranker")
    assert [(one["index"], one["document"]["text"]) for one in answer["results"]] == [
        (0, "the longest of these"),
        (2, "of some length"),
    ]
    assert answer["results"][0]["relevance_score"] > answer["results"][1]["relevance_score"]
    assert answer["usage"]["total_tokens"] == 21
    [call] = ready.fake.calls
    assert call.json() == {
        "model": "ranker",
        "query": "red",
        "documents": ["the longest of these", "short", "of some length"],
        "top_n": 2,
    }
    record = ready.record(response)
    assert (record["usage_source"], record["prompt_tokens"], record["completion_tokens"]) == (
        "reported",
        21,
        None,
    )


def test_rerank_gives_documents_back_only_where_asked(ready: Hub) -> None:
    results = ready.post("/rerank", {**RANK, "model": name("ranker")}).json()["results"]
    assert [set(one) for one in results] == [{"index", "relevance_score"}] * 3


def test_demo_ranks_without_a_network(ready: Hub) -> None:
    answer = ready.post(
        "/rerank", {"model": "demo/demo-rerank", "query": "red", "documents": ["green", "red"]}
    ).json()
    assert [one["index"] for one in answer["results"]] == [1, 0]
    assert "no model was called" in answer["note"]


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("status:429:2", 429, "provider_rate_limited"),
        ("status:401", 502, "provider_auth_failed"),
        ("hang", 504, "provider_timeout"),
        ("body:200:{}", 502, "provider_error"),
    ],
)
def test_rerank_that_fails(ready: Hub, mode: str, status: int, code: str) -> None:
    response = ready.post("/rerank", {**RANK, "model": name(f"ranker@{mode}")})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)


# ------------------------------------------------------------------------------ audio that is heard


@pytest.mark.filterwarnings(
    "ignore:deprecated:DeprecationWarning"
)  # the SDK calls its translations that
def test_translation_and_transcription_at_openai(ready: Hub) -> None:
    for kind in ("transcriptions", "translations"):
        answer = getattr(ready.sdk().audio, kind).create(
            model="openai/whisper-1", file=("voice.wav", WAV)
        )
        assert answer.text == "What the fake provider heard."
        assert ready.fake.calls[-1].path.endswith(f"/audio/{kind}")


def test_transcription_streamed_ends_as_its_format_does(ready: Hub) -> None:
    with ready.sdk().audio.transcriptions.create(
        model="openai/whisper-1", file=("voice.wav", WAV), stream=True
    ) as stream:
        found = list(stream)
    assert [event.type for event in found] == ["transcript.text.delta"] * 3 + [
        "transcript.text.done"
    ]
    assert (
        found[-1].text
        == "".join(event.delta for event in found[:-1])
        == "What the fake provider heard."
    )
    data, files = {"model": "openai/whisper-1", "stream": "true"}, {"file": ("voice.wav", WAV)}
    response = ready.post("/audio/transcriptions", data=data, files=files)
    assert events(response.content)[-1]["type"] == "transcript.text.done"
    record = ready.record(response)
    assert (record["usage_source"], record["prompt_tokens"], record["completion_tokens"]) == (
        "reported",
        14,
        6,
    )


# --------------------------------------------------------------------------------------- embeddings


def test_embeddings_of_a_list_longer_than_the_provider_takes(ready: Hub) -> None:
    answer = ready.sdk().embeddings.create(
        model="openai/text-embedding-3-small", input=[f"text {number}" for number in range(2050)]
    )
    assert [len(call.json()["input"]) for call in ready.fake.calls] == [2048, 2]
    assert [row.index for row in answer.data] == list(range(2050))
    assert answer.usage.total_tokens == 2050


def test_embeddings_of_token_numbers(ready: Hub) -> None:
    lists = [[1, 2, 3], [4, 5]]
    body = {"model": "openai/text-embedding-3-small", "input": lists, "dimensions": 2, "user": "u"}
    response = ready.post("/embeddings", json=body)
    sent = ready.fake.calls[-1].json()
    assert (sent["input"], sent["dimensions"]) == (lists, 2)
    assert [row["index"] for row in response.json()["data"]] == [0, 1]
    record = ready.record(response)
    assert (record["usage_source"], record["prompt_tokens"] > 0) == ("reported", True)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("path", "model", "body", "param"),
    [
        ("/completions", "writer", {}, "prompt"),
        ("/completions", "writer", {"prompt": []}, "prompt"),
        ("/completions", "writer", {"prompt": [{}]}, "prompt[0]"),
        ("/audio/speech", "speaker", {}, "input"),
        ("/audio/speech", "speaker", {"input": ["Hello"]}, "input"),
        ("/audio/speech", "speaker", {"input": "  "}, "input"),
        ("/audio/speech", "speaker", {"input": "Hello", "voice": 1}, "voice"),
        ("/audio/speech", "speaker", {"input": "Hello", "speed": "fast"}, "speed"),
        ("/audio/speech", "speaker", {"input": "Hello", "response_format": 1}, "response_format"),
        ("/audio/speech", "speaker", {"input": "Hello", "stream_format": "tape"}, "stream_format"),
        ("/moderations", "judge", {}, "input"),
        ("/moderations", "judge", {"input": [1]}, "input[0]"),
        ("/rerank", "ranker", {"documents": ["a"]}, "query"),
        ("/rerank", "ranker", {"query": "a", "documents": []}, "documents"),
        ("/rerank", "ranker", {"query": "a", "documents": ["a", 1]}, "documents[1]"),
        ("/rerank", "ranker", {"query": "a", "documents": ["a", {"image": "x"}]}, "documents[1]"),
        ("/rerank", "ranker", {"query": "a", "documents": ["a"], "top_n": 0}, "top_n"),
        (
            "/rerank",
            "ranker",
            {"query": "a", "documents": ["a"], "return_documents": "yes"},
            "return_documents",
        ),
    ],
)
def test_bad_bodies(ready: Hub, path: str, model: str, body: dict[str, Any], param: str) -> None:
    response = ready.post(path, {"model": name(model), **body})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    assert ready.fake.count == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/completions", {"prompt": "a"}),
        ("/audio/speech", {"input": "a", "voice": "alloy"}),
        ("/moderations", {"input": "a"}),
        ("/rerank", RANK),
    ],
)
def test_a_model_of_another_type_is_named(ready: Hub, path: str, body: dict[str, Any]) -> None:
    response = ready.post(path, {**body, "model": name("vectors")})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "invalid_request",
        "model",
    )
    assert "openai_compatible/vectors is a model of type embedding" in error["message"]
    assert ready.fake.count == 0


def test_a_default_that_nobody_set_names_the_page(ready: Hub) -> None:
    for path, body in (
        ("/audio/speech", {"input": "a"}),
        ("/moderations", {"input": "a"}),
        ("/rerank", RANK),
    ):
        response = ready.post(path, {**body, "model": "default"})
        assert (response.status_code, response.json()["error"]["code"]) == (424, "not_configured")
        assert "Settings > Default models" in response.json()["error"]["message"]


# ---------------------------------------------------------------------- defaults, fallbacks, trials


@pytest.fixture(scope="module")
def settled() -> Iterator[Hub]:
    """A default with a fallback for each scenario, and a trial that offers more than chat."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            base = f"{fake.url}/v1"
            kinds = {
                "speaker": "text-to-speech",
                "judge": "moderation",
                "ranker": "rerank",
                "painter": "image",
            }
            hub.seed(
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": f"{model}{end}",
                        "type": kind,
                        "base_url": base,
                    }
                    for model, kind in kinds.items()
                    for end in ("", "@status:500")
                ],
                defaults={
                    kind: [name(f"{model}@status:500"), name(model)]
                    for model, kind in kinds.items()
                },
                plan={
                    "plan": "openai",
                    "limit": 100,
                    "models": {
                        "gpt-3.5-turbo-instruct": 1,
                        "tts-1": 3,
                        "omni-moderation-latest": 1,
                        "gpt-image-2": 5,
                    },
                    "values": {"api_key": KEY, "base_url": fake.url},
                },
            )
            yield hub
            hub.audit()


@pytest.mark.parametrize("asked", [None, "default", "scenario"])
@pytest.mark.parametrize(
    ("path", "scenario", "model", "body"),
    [
        ("/audio/speech", "text-to-speech", "speaker", {"input": "Hello", "voice": "alloy"}),
        ("/moderations", "moderation", "judge", {"input": "Hello"}),
        ("/rerank", "rerank", "ranker", RANK),
        ("/images/generations", "image", "painter", {"prompt": "Hello"}),
    ],
)
def test_the_scenarios_default_and_its_fallback(
    settled: Hub, path: str, scenario: str, model: str, body: dict[str, Any], asked: str | None
) -> None:
    named = {} if asked is None else {"model": scenario if asked == "scenario" else asked}
    response = settled.post(path, {**body, **named})
    assert response.status_code == 200, response.text
    assert response.headers["x-modelkeep-model"] == model
    assert response.headers["x-modelkeep-attempts"] == "2"


def test_trials_pay_for_other_endpoints_too(settled: Hub) -> None:
    before = settled.pool()[1]
    sdk = settled.sdk()
    speech = sdk.audio.speech.with_raw_response.create(
        model="openai/tts-1", voice="alloy", input="Hello"
    )
    assert speech.content == SOUND
    assert speech.headers["x-modelkeep-source"] == "trial:openai"
    assert speech.headers["x-modelkeep-credits-remaining"] == str(100 - before - 3)
    assert sdk.moderations.create(model="openai/omni-moderation-latest", input="Hello").results
    assert sdk.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Hello").choices
    assert settled.pool() == (100, before + 5, 0)
    record = settled.wait_for_record(speech.headers["x-request-id"])
    assert (record["source"], record["credits"], record["status"]) == ("trial:openai", 3, "ok")


def test_a_trial_pays_for_one_image_per_call_and_once(settled: Hub) -> None:
    before = settled.pool()[1]
    body = {"model": "openai/gpt-image-2", "prompt": "Hello"}
    refused = settled.post("/images/generations", {**body, "n": 2})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n")
    headers = {"Idempotency-Key": "one image"}
    first = settled.post("/images/generations", body, headers=headers)
    again = settled.post("/images/generations", body, headers=headers)
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.json()["error"]["code"] == "already_done"
    assert settled.pool() == (100, before + 5, 0)
    record = settled.record(first)
    assert (record["credits"], record["images"], record["status"]) == (5, 1, "ok")


def test_a_trial_answers_one_prompt_per_call(settled: Hub) -> None:
    before = settled.pool()
    settled.fake.reset()
    with pytest.raises(openai.BadRequestError) as refused:
        settled.sdk().completions.create(
            model="openai/gpt-3.5-turbo-instruct", prompt=["one", "two"]
        )
    assert refused.value.param == "prompt"
    assert (settled.pool(), settled.fake.count) == (before, 0)
    assert (
        settled.sdk()
        .completions.create(model="openai/gpt-3.5-turbo-instruct", prompt=[1, 2, 3])
        .choices
    )


def test_a_moderation_without_a_model_uses_the_workspaces_default(ready: Hub) -> None:
    url = f"{ready.server.url}/api/v1/default-models/moderation/"
    headers = {"Authorization": f"Bearer {ready.server.app_key}"}
    chosen = {"model": "demo/demo-moderation"}
    assert ready.session.put(url, json=chosen, headers=headers, timeout=10).status_code == 200
    try:
        answer = ready.sdk().moderations.create(input="Be kind")
        assert answer.model == "demo-moderation"
    finally:
        ready.session.delete(url, headers=headers, timeout=10)
