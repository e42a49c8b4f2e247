"""Anthropic's SDK at a running server, with providers of its own format and of another."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests import sdks
from tests.gateway.conftest import CHAT, Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

CLAUDE = "anthropic/claude-haiku-4-5"
USER: list[sdks.anthropic.types.MessageParam] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def sdk(hub: Hub) -> Iterator[sdks.anthropic.Anthropic]:
    with sdks.anthropic.Anthropic(
        base_url=hub.server.url, api_key=hub.server.app_key, max_retries=0
    ) as client:
        yield client


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_a_call_is_answered_and_recorded(
    hub: Hub, sdk: sdks.anthropic.Anthropic, model: str
) -> None:
    made = sdk.messages.with_raw_response.create(model=model, max_tokens=50, messages=USER)
    message = made.parse()
    assert message.content[0].type == "text"
    assert message.content[0].text
    assert made.headers["request-id"] == made.headers["x-request-id"]
    record = hub.record(made)
    assert (record["provider"], record["status"]) == (model.partition("/")[0], "ok")
    assert record["completion_tokens"] == message.usage.output_tokens
    assert hub.fake.calls[-1].path.endswith("messages" if model == CLAUDE else "completions")


@pytest.mark.parametrize("model", [CHAT, CLAUDE])
def test_a_stream_is_read_by_the_sdk(hub: Hub, sdk: sdks.anthropic.Anthropic, model: str) -> None:
    with sdk.messages.stream(model=model, max_tokens=50, messages=USER) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text.startswith("word0 word1 ")
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


def test_betas_and_unknown_fields_reach_anthropic(hub: Hub, sdk: sdks.anthropic.Anthropic) -> None:
    sdk.messages.create(
        model=CLAUDE,
        max_tokens=50,
        messages=USER,
        extra_body={"later": {"x": 1}},
        extra_headers={"anthropic-beta": "a-1,b-2"},
    )
    seen = hub.fake.calls[-1]
    assert seen.headers["anthropic-beta"] == "a-1,b-2"
    assert seen.headers["x-api-key"] != hub.server.app_key
    assert json.loads(seen.body)["later"] == {"x": 1}
    assert json.loads(seen.body)["model"] == "claude-haiku-4-5"


def test_errors_are_anthropics(hub: Hub, sdk: sdks.anthropic.Anthropic) -> None:
    with pytest.raises(sdks.anthropic.RateLimitError) as limited:
        sdk.messages.create(model="openai/gpt@status:429:2", max_tokens=5, messages=USER)
    assert limited.value.body == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": limited.value.body["error"]["message"]},  # type: ignore[index]
        "request_id": limited.value.request_id,
    }
    stranger = sdk.copy(api_key="sk-bad")
    with pytest.raises(sdks.anthropic.AuthenticationError):
        stranger.messages.create(model=CHAT, max_tokens=5, messages=USER)
    with pytest.raises(sdks.anthropic.BadRequestError) as refused:
        sdk.messages.create(
            model=CHAT,
            max_tokens=5,
            messages=USER,
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
        )
    assert "web_search_20250305" in str(refused.value)


def test_a_stream_that_breaks_ends_with_an_error(hub: Hub, sdk: sdks.anthropic.Anthropic) -> None:
    with (
        pytest.raises(sdks.anthropic.APIStatusError) as broken,
        sdk.messages.stream(model="openai/gpt@break:4", max_tokens=5, messages=USER) as stream,
    ):
        stream.get_final_message()
    assert broken.value.body["error"]["type"] == "api_error"  # type: ignore[index]


@pytest.mark.parametrize(("model", "source"), [(CLAUDE, "reported"), (CHAT, "estimated")])
def test_tokens_are_counted(
    hub: Hub, sdk: sdks.anthropic.Anthropic, model: str, source: str
) -> None:
    made = sdk.messages.with_raw_response.count_tokens(
        model=model, system="Be brief.", messages=[{"role": "user", "content": "x" * 400}]
    )
    assert made.headers["x-modelkeep-tokens"] == source
    assert made.parse().input_tokens == (9 if source == "reported" else 103)
    assert not hub.records(made.headers["request-id"])
    with pytest.raises(sdks.anthropic.NotFoundError):
        sdk.messages.count_tokens(model="no/model", messages=USER)


def test_models_come_in_pages(hub: Hub, sdk: sdks.anthropic.Anthropic) -> None:
    first = sdk.models.list(limit=3)
    assert (len(first.data), first.has_more, first.last_id) == (3, True, first.data[-1].id)
    everything = [model.id for model in sdk.models.list(limit=100)]
    assert [model.id for model in sdk.models.list(limit=3)] == everything
    assert "openai_compatible/whisper-large" not in everything
    model = sdk.models.retrieve(CLAUDE)
    assert (model.id, model.type, model.created_at.year) == (CLAUDE, "model", 2026)
    assert model.display_name
    before = sdk.models.list(limit=2, before_id=everything[3])
    assert [model.id for model in before.data] == everything[1:3]
    for query in ({"limit": 0}, {"after_id": "no/model"}):
        with pytest.raises(sdks.anthropic.BadRequestError):
            sdk.models.list(extra_query=query)


def test_the_server_is_there(hub: Hub) -> None:
    response = hub.session.head(hub.server.url + "/", timeout=10)
    assert (response.status_code, response.content) == (200, b"")
    assert (
        hub.session.get(hub.server.url + "/", timeout=10)
        .headers["content-type"]
        .startswith("text/html")
    )
