"""The official SDK works unchanged: whole, streamed, asynchronous, embeddings, transcription,
models.
"""

from __future__ import annotations

import asyncio

import openai
import pytest

from tests.gateway.conftest import CHAT, WAV, Hub

pytestmark = pytest.mark.slow  # a server runs

MESSAGES = [{"role": "user", "content": "Hello"}]


def test_whole_answer_with_headers_and_record(hub: Hub) -> None:
    raw = hub.sdk().chat.completions.with_raw_response.create(model=CHAT, messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello from the fake provider."
    assert raw.headers["x-modelkeep-provider"] == "openai"
    assert raw.headers["x-modelkeep-model"] == "gpt-4o-mini"
    assert raw.headers["x-modelkeep-source"] == "credential:Main"
    assert raw.headers["x-modelkeep-attempts"] == "1"
    record = hub.wait_for_record(raw.headers["x-request-id"])
    assert (record["status"], record["credits"], record["usage_source"]) == ("ok", 0, "reported")
    assert (record["prompt_tokens"], record["completion_tokens"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )


def test_stream_gives_every_piece_and_is_recorded_before_it_ends(hub: Hub) -> None:
    with hub.sdk().chat.completions.with_streaming_response.create(
        model=CHAT, messages=MESSAGES, stream=True
    ) as response:
        pieces = [
            chunk.choices[0].delta.content or "" for chunk in response.parse() if chunk.choices
        ]
        records = hub.records(
            response.headers["x-request-id"]
        )  # no waiting: the last event came after the record
    assert "".join(pieces).split() == [f"word{number}" for number in range(20)]
    assert [record["status"] for record in records] == ["ok"]
    assert records[0]["usage_source"] == "reported"


@pytest.mark.parametrize("asked", [True, False])
def test_usage_frame_is_shown_to_those_who_asked(hub: Hub, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(
        hub.sdk().chat.completions.create(model=CHAT, messages=MESSAGES, stream=True, **options)
    )
    assert any(chunk.usage is not None for chunk in chunks) is asked


def test_asynchronous_client(hub: Hub) -> None:
    async def talk() -> tuple[str, list[str]]:
        async with hub.async_sdk() as client:
            whole = await client.chat.completions.create(model=CHAT, messages=MESSAGES)
            stream = await client.chat.completions.create(
                model=CHAT, messages=MESSAGES, stream=True
            )
            return whole.choices[0].message.content, [
                chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices
            ]

    whole, pieces = asyncio.run(talk())
    assert whole == "Hello from the fake provider."
    assert "word19" in "".join(pieces)


def test_anthropic_answers_in_openais_format(hub: Hub) -> None:
    client = hub.sdk()
    whole = client.chat.completions.create(model="anthropic/claude-haiku-4-5", messages=MESSAGES)
    assert whole.choices[0].message.content
    assert whole.usage.total_tokens > 0
    stream = client.chat.completions.create(
        model="anthropic/claude-haiku-4-5", messages=MESSAGES, stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert {call.path for call in hub.fake.calls} == {"/v1/messages"}


def test_embeddings(hub: Hub) -> None:
    answer = hub.sdk().embeddings.create(
        model="openai/text-embedding-3-small", input=["one", "two"]
    )
    assert len(answer.data) == 2
    assert len(answer.data[0].embedding) > 0


@pytest.mark.filterwarnings(
    "ignore:deprecated:DeprecationWarning"
)  # the SDK calls its translations that
@pytest.mark.parametrize(
    ("kind", "path"),
    [("transcriptions", "/v1/audio/transcriptions"), ("translations", "/v1/audio/translations")],
)
def test_audio_at_a_server_of_the_workspaces_own(hub: Hub, kind: str, path: str) -> None:
    answer = getattr(hub.sdk().audio, kind).create(
        model="openai_compatible/whisper-large", file=("voice.wav", WAV), prompt="Names: Ada"
    )
    assert answer.text == "What the fake provider heard."
    [call] = hub.fake.calls
    assert call.path == path
    for part in (WAV, b'filename="voice.wav"', b"whisper-large", b"Names: Ada"):
        assert part in call.body
    record = hub.wait_for_record(answer._request_id)
    assert (record["status"], record["model"], record["source"]) == (
        "ok",
        "whisper-large",
        "credential:whisper-large",
    )


def test_transcription(hub: Hub) -> None:
    answer = hub.sdk().audio.transcriptions.create(
        model="openai/whisper-1", file=("voice.wav", WAV), language="en"
    )
    assert answer.text == "What the fake provider heard."
    sent = hub.fake.calls[-1].body
    assert WAV in sent
    assert b'name="language"\r\n\r\nen' in sent


def test_models_are_listed_and_found(hub: Hub) -> None:
    client = hub.sdk()
    ids = [model.id for model in client.models.list()]
    assert CHAT in ids
    assert "demo/demo-chat" in ids
    assert client.models.retrieve(CHAT).owned_by == "openai"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("openai/nothing")


def test_demo_streams_without_a_network(hub: Hub) -> None:
    stream = hub.sdk().chat.completions.create(
        model="demo/demo-chat", messages=MESSAGES, stream=True
    )
    assert "Hello" in "".join(
        chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices
    )
    assert hub.fake.count == 0


def test_unknown_fields_reach_a_provider_of_the_same_format(hub: Hub) -> None:
    hub.chat(logit_bias={"1": 2}, something_new={"a": [1]})
    assert b'"something_new":{"a":[1]}' in hub.fake.calls[-1].body
    assert b'"model":"gpt-4o-mini"' in hub.fake.calls[-1].body


def test_only_its_own_headers_reach_the_provider(hub: Hub) -> None:
    hub.chat(headers={"X-Custom": "1", "Cookie": "a=b", "User-Agent": "client/1"})
    sent = hub.fake.calls[-1].headers
    assert sent["accept-encoding"] == "identity"
    assert not {"x-custom", "cookie"} & set(sent)
    assert sent["user-agent"] == "modelkeep"
    assert hub.server.app_key not in str(sent)
