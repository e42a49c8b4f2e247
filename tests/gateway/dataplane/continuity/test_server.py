"""Reasoning between calls of tools, through OpenAI's library, which returns no unknown fields."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.gateway.conftest import Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

CLAUDE = "anthropic/claude-haiku-4-5"
TOOLS: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
QUESTION = {"role": "user", "content": "Hi"}


def thought(number: int) -> dict[str, Any]:
    return {"type": "thinking", "thinking": f"{number}: é\u2028", "signature": f"c2ln{number}=="}


def call(number: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": {"x": number}}


def says(hub: Hub, *blocks: dict[str, Any]) -> None:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c"}
    body = message | {"content": blocks, "stop_reason": "tool_use"}
    hub.fake.mode = "body:200:" + orjson.dumps(body).decode()


def asked(hub: Hub, messages: list[Any], *, stream: bool) -> tuple[dict[str, Any], Any]:
    """Ask as a client that keeps OpenAI's fields only; return its message and the headers."""
    create = hub.sdk().chat.completions.with_raw_response.create
    if not stream:
        raw = create(model=CLAUDE, messages=messages, tools=TOOLS)
        message = raw.parse().choices[0].message
        kept = message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True)
        return kept, raw.headers
    raw = create(model=CLAUDE, messages=messages, tools=TOOLS, stream=True)
    pieces = [
        piece
        for chunk in raw.parse()
        for choice in chunk.choices
        for piece in choice.delta.tool_calls or ()
    ]
    function = {"name": "f", "arguments": "".join(p.function.arguments or "" for p in pieces)}
    calls = [{"id": pieces[0].id, "type": "function", "function": function}]
    return {"role": "assistant", "tool_calls": calls}, raw.headers


@pytest.mark.parametrize("stream", [False, True])
def test_signatures_are_the_same_after_two_turns(hub: Hub, stream: bool) -> None:
    messages: list[Any] = [QUESTION]
    for number in (1, 2):
        says(hub, thought(number), call(number))
        kept, headers = asked(hub, messages, stream=stream)
        assert "x-modelkeep-reasoning" not in headers
        identity = kept["tool_calls"][0]["id"]
        messages += [kept, {"role": "tool", "tool_call_id": identity, "content": "42"}]
    says(hub, {"type": "text", "text": "Done."})
    _message, headers = asked(hub, messages, stream=False)
    sent = orjson.loads(hub.fake.calls[-1].body)["messages"]
    assert orjson.dumps([turn["content"] for turn in sent if turn["role"] == "assistant"]) == (
        orjson.dumps([[thought(number), call(number)] for number in (1, 2)])
    )
    assert [turn["content"][0]["tool_use_id"] for turn in sent[2::2]] == ["toolu_1", "toolu_2"]
    assert "x-modelkeep-reasoning" not in headers


def test_a_provider_of_the_clients_format_gets_its_own_ids(hub: Hub) -> None:
    says(hub, thought(1), call(1))
    kept, _headers = asked(hub, [QUESTION], stream=False)
    identity = kept["tool_calls"][0]["id"]
    result = {"type": "tool_result", "tool_use_id": identity, "content": f"It was {identity}."}
    turns = [QUESTION, {"role": "assistant", "content": [call(1) | {"id": identity}]}]
    body = {"max_tokens": 9, "messages": [*turns, {"role": "user", "content": [result]}]}
    hub.post("/messages", {"model": CLAUDE, **body})
    expected = orjson.dumps(body).replace(f'"{identity}"'.encode(), b'"toolu_1"')
    sent = orjson.loads(hub.fake.calls[-1].body)
    assert {name: sent[name] for name in body} == orjson.loads(expected)


def test_an_id_that_is_cut_works_without_and_says_so(hub: Hub) -> None:
    says(hub, thought(1), call(1))
    kept, _headers = asked(hub, [QUESTION], stream=False)
    identity = kept["tool_calls"][0]["id"] = kept["tool_calls"][0]["id"][:40]
    result = {"role": "tool", "tool_call_id": identity, "content": "42"}
    _message, headers = asked(hub, [QUESTION, kept, result], stream=False)
    assert headers["x-modelkeep-reasoning"] == "lost"
    [use] = orjson.loads(hub.fake.calls[-1].body)["messages"][1]["content"]
    assert use["type"] == "tool_use"
