"""Formats that providers speak besides chat: passed on where they are taken, else converted."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.declaration import registry
from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Access, ModelFacts, Native, Operation, Reply, Request
from providers.wire.native.in_part import CHAT_ONLY, FORMATS
from tests.providers.driving import Outcome, drive, exchange_for

MESSAGE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 2, "output_tokens": 1},
}
RESPONSE = {
    "id": "r",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
    "usage": {"input_tokens": 2, "output_tokens": 1},
}
CHAT = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ]
}
NEUTRAL = {"messages": [{"role": "user", "content": "Hi"}]}
OWN = "http://127.0.0.1:8000/v1"
NO_ROUTE = Reply(404, {}, b'{"detail":"Not Found"}')


def reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"}, orjson.dumps(body))


def refusal(message: str, status: int = 400, **more: str) -> Reply:
    return reply({"error": {"message": message, **more}}, status)


def ask(
    *replies: Reply,
    slug: str = "openai_compatible",
    dialect: str = "messages",
    body: dict[str, Any] | None = None,
    base_url: str = OWN,
    model: str = "m",
    forget: bool = True,
    stream: bool = False,
    neutral: Any = lambda: dict(NEUTRAL),
    **values: str,
) -> Outcome:
    sent = {"model": "ours", **(body or {})}
    native = Native(dialect, orjson.dumps(sent), {"anthropic-beta": "a-1"}, neutral)
    request = Request(Operation.CHAT, model, sent, stream, native=native)
    provider = registry.get(slug)
    access = Access({"api_key": "sk-1", **values}, base_url)
    made = exchange_for(provider, request, access, ModelFacts())
    return drive(made, provider, replies, forget=forget)


def paths(outcome: Outcome) -> list[str]:
    return [call.url.rpartition("/v1/")[2] for call in outcome.calls]


@pytest.mark.parametrize(
    ("slug", "base_url", "model", "url", "header"),
    [
        ("deepseek", "", "m", "https://api.deepseek.com/anthropic/v1/messages", "x-api-key"),
        ("deepseek", "https://r.example/v1", "m", "https://r.example/anthropic/v1/messages", ""),
        ("minimax", "", "MiniMax-M3", "https://api.minimax.io/anthropic/v1/messages", ""),
        ("tongyi", "", "m", "https://dashscope.aliyuncs.com/apps/anthropic/v1/messages", ""),
        ("tongyi", "https://r.example", "m", "https://r.example/apps/anthropic/v1/messages", ""),
        (
            "chatglm",
            "https://open.bigmodel.cn/api/paas/v4",
            "m",
            "https://open.bigmodel.cn/api/anthropic/v1/messages",
            "",
        ),
        (
            "chatglm",
            "https://api.z.ai/api/coding/paas/v4",
            "m",
            "https://api.z.ai/api/anthropic/v1/messages",
            "",
        ),
        ("openai_compatible", OWN, "m", f"{OWN}/messages", ""),
    ],
)
def test_messages_go_to_the_address_that_takes_them(
    slug: str, base_url: str, model: str, url: str, header: str
) -> None:
    body = {"later": 1.0, "max_tokens": 9, "tools": [{"name": "f", "input_schema": {}}]}
    outcome = ask(reply(MESSAGE), slug=slug, base_url=base_url, model=model, body=body)
    [call] = outcome.calls
    assert call.url == url
    assert call.headers["anthropic-beta"] == "a-1"
    assert orjson.loads(call.body or b"") == {**body, "model": model}
    if header:
        assert call.headers[header] == "sk-1"
    assert outcome.answer is not None
    assert outcome.answer.content == orjson.dumps(MESSAGE)
    assert outcome.usage is not None
    assert (outcome.usage.prompt_tokens, outcome.usage.completion_tokens) == (2, 1)


def test_responses_go_to_a_server_of_its_own() -> None:
    outcome = ask(reply(RESPONSE), dialect="responses")
    assert paths(outcome) == ["responses"]
    assert outcome.answer is not None
    assert outcome.answer.content == orjson.dumps(RESPONSE)


@pytest.mark.parametrize("answer", [NO_ROUTE, Reply(302, {}, b""), Reply(501, {}, b"")])
def test_a_server_without_the_address_is_asked_a_chat_and_remembered(answer: Reply) -> None:
    assert paths(ask(answer, reply(CHAT))) == ["messages", "chat/completions"]
    again = ask(reply(CHAT), forget=False)
    assert paths(again) == ["chat/completions"]
    assert again.answer is not None
    assert again.answer.content is None
    # Other formats, accounts and addresses are facts of their own.
    assert paths(ask(reply(RESPONSE), dialect="responses", forget=False)) == ["responses"]
    assert paths(ask(reply(MESSAGE), forget=False, api_key="sk-2")) == ["messages"]


def test_a_model_that_does_not_speak_the_format_is_asked_a_chat() -> None:
    unknown = refusal("The model `m` does not exist.", 404)
    assert paths(ask(unknown, reply(CHAT))) == ["messages", "chat/completions"]
    assert paths(ask(reply(CHAT), forget=False)) == ["chat/completions"]
    assert paths(ask(reply(MESSAGE), model="other", forget=False)) == ["messages"]


def test_a_request_that_is_refused_is_converted_this_once() -> None:
    odd = refusal("The `content[].thinking` in the thinking mode must be passed back to the API.")
    assert paths(ask(odd, reply(CHAT))) == ["messages", "chat/completions"]
    assert paths(ask(reply(MESSAGE), forget=False)) == ["messages"]


def test_what_is_refused_in_both_formats_is_told_in_the_clients_words() -> None:
    with pytest.raises(ProviderError) as caught:
        ask(refusal("max_tokens: too many"), refusal("max_completion_tokens: too many"))
    assert caught.value.message == "max_tokens: too many"

    def inexpressible() -> dict[str, Any]:
        raise CannotExpress("No documents here.", param="messages")

    with pytest.raises(ProviderError) as caught:
        ask(refusal("unknown block"), neutral=inexpressible)
    assert caught.value.message == "unknown block"
    with pytest.raises(CannotExpress):
        ask(NO_ROUTE, neutral=inexpressible)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (refusal("Wrong key", code="invalid_api_key"), Failure.AUTH),
        (refusal("This model's maximum context length is 8 tokens"), Failure.CONTEXT_LENGTH),
        (refusal("Busy", 529), Failure.OVERLOADED),
        (refusal("Broken", 500), Failure.ERROR),
    ],
)
def test_what_a_chat_would_not_mend_is_not_asked_again(answer: Reply, failure: Failure) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(answer)
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("dialect", "tool"),
    [
        ("messages", {"type": "bash_20250124", "name": "bash"}),
        ("responses", {"type": "namespace", "name": "mcp__x", "tools": []}),
        ("responses", {"type": "web_search"}),
    ],
)
def test_tools_that_are_built_into_other_models_are_converted(
    dialect: str, tool: dict[str, Any]
) -> None:
    outcome = ask(reply(CHAT), dialect=dialect, body={"tools": [tool]})
    assert paths(outcome) == ["chat/completions"]


def test_a_credential_can_have_everything_converted() -> None:
    outcome = ask(reply(CHAT), **{FORMATS: CHAT_ONLY})
    assert paths(outcome) == ["chat/completions"]
    field = registry.get("openai_compatible").credential_fields[-1]
    assert (field.name, [name for name, _label in field.choices]) == (FORMATS, [CHAT_ONLY])


@pytest.mark.parametrize(
    ("slug", "base_url", "model"),
    [("minimax", "", "abab6.5s-chat"), ("chatglm", "http://127.0.0.1:8000", "glm-4")],
)
def test_what_never_speaks_the_format_is_not_asked(slug: str, base_url: str, model: str) -> None:
    [call] = ask(reply(CHAT), slug=slug, base_url=base_url, model=model).calls
    assert call.url.endswith("/chat/completions")


def test_a_stream_says_in_which_format_it_is() -> None:
    events = b"".join(
        b"data: %b\n\n" % orjson.dumps(event)
        for event in (
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        )
    )
    headers = {"content-type": "text/event-stream"}
    native = ask(Reply(200, headers, events), stream=True)
    assert b"".join(frame.data for frame in native.frames) == events
    assert native.finish_reason == "stop"
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    chunks = b"data: %b\n\ndata: [DONE]\n\n" % orjson.dumps(chunk)
    converted = ask(NO_ROUTE, Reply(200, headers, chunks), stream=True)
    assert b"content_block" not in b"".join(frame.data for frame in converted.frames)
    assert converted.frames


def test_a_conversation_that_only_anthropic_keeps_is_asked_of_no_one_else() -> None:
    """Other servers of its format would ignore the field, and answer without what was said."""
    body = {"thread": {"type": "continue", "previous_message_id": "msg_1"}}
    outcome = ask(reply(CHAT), body=body)
    assert paths(outcome) == ["chat/completions"]
