"""Repairs of chat requests: odd ids and arguments of tool calls, in linear time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from providers.declaration import registry
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Access, ModelFacts, Operation, Reply, Request
from providers.wire.anthropic.blocks import with_own_ids
from providers.wire.repairs.requests import repaired_messages
from tests.providers.driving import run


def asking(*ids: str, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    calls = [{"id": one, "type": "function", "function": function} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def ids_in(messages: list[Any]) -> list[str]:
    return [call["id"] for message in messages for call in message["tool_calls"]]


@pytest.mark.parametrize("name", ["a", "call_1_0", "call_1_0_"])
def test_every_call_gets_an_id_of_its_own(name: str) -> None:
    ids = ids_in(repaired_messages([asking("call_1_0", name), asking(name, "call_1_0")]))
    assert ids[0] == "call_1_0"
    assert len(set(ids)) == 4


def test_ids_that_only_differ_in_refused_characters_stay_apart() -> None:
    messages = with_own_ids([asking("a!", "a?", "a__2", "a_"), asking("b")])
    ids = ids_in(messages)
    assert len(set(ids)) == 5
    assert ids[0] == "a_"
    assert ids[4] == "b"


def test_many_ids_of_refused_characters_take_no_time() -> None:
    ids = [chr(0x4E00 + number) for number in range(5000)]
    began = time.process_time()
    own = ids_in(with_own_ids([asking(*ids)]))
    assert time.process_time() - began < 1
    assert len(set(own)) == len(ids)


def test_arguments_nested_too_deep_to_be_written_are_the_request_s_fault() -> None:
    body = {"messages": [asking("a", arguments="[" * 500 + "]" * 500)]}
    with pytest.raises(CannotExpress):
        run(
            registry.get("openai"),
            Request(Operation.CHAT, "m", body),
            Access({"api_key": "k" * 20}),
            ModelFacts(),
            [Reply(200, {}, b"{}")],
        )
