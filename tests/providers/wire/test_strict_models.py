"""What leaves us parses in the official SDK with strict models, whatever a provider sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Operation
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.stream import ChatDecoder
from tests.fakes import framing
from tests.providers.case import PLAYED, Case, parameters
from tests.providers.driving import Outcome
from tests.providers.wire.test_contract import play

CHATS = [case for case in PLAYED if case.operation == Operation.CHAT and "error" not in case.expect]


def check(outcome: Outcome) -> None:
    for frame in outcome.frames:
        ChatCompletionChunk.model_validate_json(frame.data, strict=True)
    if outcome.answer is not None:
        ChatCompletion.model_validate_json(orjson.dumps(outcome.answer.body), strict=True)
    check_calls(outcome)


def check_calls(outcome: Outcome) -> None:
    """Every call has an id and an index of its own and arguments that are an object."""
    calls = outcome.message.get("tool_calls") or []
    assert len({call["id"] for call in calls if call["id"]}) == len(calls)
    functions = [call["function"] for call in calls if call.get("type") != "custom"]
    assert all(isinstance(orjson.loads(function["arguments"]), dict) for function in functions)


@pytest.mark.parametrize("case", parameters(CHATS))
def test_answers_parse_strictly(case: Case) -> None:
    check(play(case))


@pytest.mark.parametrize("case", parameters([case for case in CHATS if case.stream]))
def test_pieces_parse_strictly_however_they_arrive(case: Case) -> None:
    outcome = play(case, cut=framing.each_line)
    check(outcome)
    roles = [
        (choice["index"], choice["delta"]["role"])
        for chunk in outcome.chunks
        for choice in chunk["choices"]
        if "role" in choice["delta"]
    ]
    assert len(set(roles)) == len(roles), "clients append what is repeated"


# Every shape that servers were seen to send, as small as can be.
ODD_ANSWERS: list[dict[str, Any]] = [
    {"choices": {"message": {"content": "Hi"}}},
    {"choices": [{"text": "Hi"}]},
    {"choices": [{"delta": {"content": "Hi"}}]},
    {"choices": [{"message": "Hi", "finish_reason": ""}]},
    {"choices": [{"message": {"content": ["Hi"]}, "logprobs": []}], "id": 7, "created": "1.5"},
    {"choices": [{"message": {"content": {"type": "text", "text": "Hi"}}}], "usage": {}},
    {"choices": [{"message": {"role": "model", "content": "Hi"}}], "service_tier": "on_demand"},
    {"choices": [{"message": {"content": "Hi"}, "finish_reason": "eos"}], "usage": []},
    {"choices": [{"message": {"content": "Hi", "tool_calls": []}}], "usage": {"total_tokens": 2.0}},
    {"choices": [{"message": {"content": "Hi", "tool_calls": {"function": {"name": "f"}}}}]},
    {"choices": [{"message": {"content": "Hi", "refusal": ["no"]}}], "system_fingerprint": 3},
]
ODD_ANSWERS.append(
    {
        "choices": [
            {
                "message": {"content": "Hi"},
                "logprobs": {"content": [{"token": "a", "logprob": None}]},
            }
        ]
    }
)
HEAD = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
ASKED = {"model": "m", "body": {"messages": [{"role": "user", "content": "Hi"}]}}


@pytest.mark.parametrize("answer", ODD_ANSWERS)
@pytest.mark.parametrize("stream", [False, True])
def test_odd_answers(answer: dict[str, Any], stream: bool) -> None:
    told = {**ASKED, "stream": stream, "replies": [{"json": HEAD | answer}], "expect": {}}
    outcome = play(Case("openai", told))
    check(outcome)
    assert outcome.message["content"] == "Hi"


CALLS: list[tuple[list[dict[str, Any]], list[tuple[str, str]]]] = [
    # A new id is a new call, also at the same index or at none.
    (
        [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [("f", "{}"), ("g", "{}")],
    ),
    (
        [
            {"id": "a", "function": {"name": "f", "arguments": '{"x":'}},
            {"function": {"arguments": "1}"}},
            {"id": "b", "function": {"name": "f", "arguments": '{"x":2}'}},
        ],
        [("f", '{"x":1}'), ("f", '{"x":2}')],
    ),
    # Without ids, a name begins a call, and so does what follows a complete object.
    (
        [
            {"function": {"name": "f", "arguments": {"x": 1}}},
            {"function": {"name": "f", "arguments": {"x": 2}}},
        ],
        [("f", '{"x":1}'), ("f", '{"x":2}')],
    ),
    # Ids and names that are repeated with each piece are said once.
    (
        [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}},
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}},
        ],
        [("f", '{"x":1}')],
    ),
    # No arguments are an empty object.
    ([{"index": 1, "id": "a", "function": {"name": "f", "arguments": "null"}}], [("f", "{}")]),
    ([{"index": 0, "id": "", "type": None, "function": {"name": "f"}}], [("f", "{}")]),
    ([{"name": "f", "arguments": None}], [("f", "{}")]),
]


@pytest.mark.parametrize("finish", ["tool_calls", "", None])
@pytest.mark.parametrize(("pieces", "expected"), CALLS)
def test_pieces_of_calls(
    pieces: list[dict[str, Any]], expected: list[tuple[str, str]], finish: str | None
) -> None:
    deltas = [{"tool_calls": [piece]} for piece in pieces]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events = [HEAD | chunk for chunk in chunks] + ["data: [DONE]\n\n"]
    outcome = play(Case("openai", {**ASKED, "stream": True, "replies": [{"events": events}]}))
    check(outcome)
    functions = [call["function"] for call in outcome.message["tool_calls"]]
    assert [(call["name"], call["arguments"]) for call in functions] == expected
    assert outcome.finish_reason == "tool_calls"


def test_pieces_come_before_the_error_in_their_packet() -> None:
    chunk = orjson.dumps(HEAD | {"choices": [{"index": 0, "delta": {"content": "Hi"}}]})
    decoder = ChatDecoder(openai_errors())
    frames = decoder.feed(b"data: %b\n\ndata: %b\n\n" % (chunk, b'{"error":{"message":"No"}}'))
    assert [frame.content for frame in frames] == [True]
    assert decoder.failed
    for end in (decoder.finish, lambda: decoder.feed(chunk)):
        with pytest.raises(ProviderError, match="No"):
            end()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("event: error\ndata: out of memory\n\n", "out of memory"),
        ('event: error\ndata: {"message": "out of memory"}\n\n', "out of memory"),
        ('data: {"code": 500, "msg": "no GPU", "success": false}\n\n', "no GPU"),
        ('data: {"choices": [{"index": 0, "error": {"message": "no GPU"}}]}\n\n', "no GPU"),
        ('{"errors": [{"message": "no GPU"}]}', "no GPU"),
    ],
)
def test_errors_inside_a_stream_say_what_the_server_said(body: str, message: str) -> None:
    told = {**ASKED, "stream": True, "replies": [{"text": body}]}
    with pytest.raises(ProviderError, match=message):
        play(Case("openai", told))
