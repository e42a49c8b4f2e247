"""Clients of 2023, which know functions instead of tools, are served by every provider."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest

from gateway.dataplane.doors.functions import DOOR
from gateway.dataplane.doors.interface import Asked
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Frame, Operation
from tests.gateway.conftest import Hub

WEATHER = {
    "name": "weather",
    "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
}
QUESTION = {"role": "user", "content": "Rain?"}
CALL = {"name": "weather", "arguments": '{"city": "city"}'}


def asked(**body: Any) -> Asked:
    def seal(*_arguments: Any) -> Any:
        raise AssertionError(uuid4())

    return Asked({"messages": [QUESTION]} | body, True, seal, "r1")  # type: ignore[arg-type]


@pytest.mark.one_database
def test_functions_become_tools() -> None:
    history = [
        QUESTION,
        {"role": "assistant", "content": None, "function_call": CALL},
        {"role": "function", "name": "weather", "content": "no"},
    ]
    body = DOOR.neutral(
        Operation.CHAT,
        asked(functions=[WEATHER], function_call={"name": "weather"}, messages=history, seed=1),
    )
    [call] = body["messages"][1]["tool_calls"]
    assert call["function"] == CALL
    result = {"role": "tool", "tool_call_id": call["id"], "content": "no"}
    assert body == {
        "messages": [
            QUESTION,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            result,
        ],
        "tools": [{"type": "function", "function": WEATHER}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "seed": 1,
    }


@pytest.mark.one_database
@pytest.mark.parametrize(
    "fields",
    [{"functions": "weather"}, {"functions": [1]}, {"functions": [WEATHER], "tools": [{}]}],
)
def test_what_cannot_be_converted_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CannotExpress) as caught:
        DOOR.neutral(Operation.CHAT, asked(**fields))
    assert caught.value.param == "functions"


@pytest.mark.one_database
def test_only_the_first_of_several_calls_has_room() -> None:
    calls = [{"index": number, "function": {"arguments": str(number)}} for number in (0, 1)]
    choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}
    writer = DOOR.writer(Operation.CHAT, asked(), native=False)
    written = writer.write([Frame(orjson.dumps({"choices": [choice]}), content=True)])
    [choice] = orjson.loads(written.removeprefix(b"data: "))["choices"]
    assert choice["delta"] == {"function_call": {"arguments": "0"}}
    message = {"role": "assistant", "content": None, "tool_calls": [{"function": CALL}] * 2}
    answer = Answer({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    [choice] = orjson.loads(DOOR.write(answer, {}, asked()))["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"] == {"role": "assistant", "content": None, "function_call": CALL}


@pytest.mark.slow
@pytest.mark.one_database
def test_a_call_of_the_official_sdk(hub: Hub) -> None:
    arguments: dict[str, Any] = {
        "model": "demo/demo-chat",
        "messages": [QUESTION],
        "functions": [WEATHER],
        "function_call": {"name": "weather"},
    }
    [choice] = hub.sdk().chat.completions.create(**arguments).choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    assert choice.message.function_call.model_dump() == CALL
    stream = list(hub.sdk().chat.completions.create(**arguments, stream=True))
    calls = [chunk.choices[0].delta.function_call for chunk in stream]
    assert [call.name for call in calls if call and call.name] == ["weather"]
    assert "".join(call.arguments or "" for call in calls if call) == CALL["arguments"]
    assert stream[-1].choices[0].finish_reason == "function_call"
