"""Tools in namespaces, such as those of MCP servers in Codex, at models that know none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openai.types.responses import ResponseCustomToolCall, ResponseFunctionToolCall

from gateway.dataplane.doors.openai_responses.namespaces import joined
from gateway.dataplane.doors.responses import DOOR
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Operation
from providers.wire.chat_answers import frames_of
from tests.gateway.dataplane.doors.responses.reader import (
    INPUT,
    asked,
    events,
    neutral,
    streamed,
    whole,
)

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
PLAIN = {**LOOK, "name": "docs__look"}


def space(name: str, *tools: dict[str, Any], kind: str = "namespace") -> dict[str, Any]:
    return {"type": kind, "name": name, "description": "Tools.", "tools": list(tools)}


def names(**body: Any) -> list[str]:
    return [tool[tool["type"]]["name"] for tool in neutral(**body)["tools"]]


def called(name: str, **request: Any) -> list[Any]:
    """The call of a tool in an answer, whole and streamed, as OpenAI's SDK reads it."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = {"id": "a", "model": "m", "choices": [choice]}
    made = asked(store=False, **request)
    writer = DOOR.writer(Operation.CHAT, made, native=False)
    content = writer.write(frames_of(answer)) + writer.end({})
    added = [event.item for event in events(content) if event.type == "response.output_item.added"]
    assert (added[0].name, added[0].namespace) == _named(streamed(content).output[0])
    return [whole(DOOR.write(Answer(answer), {}, made)).output[0], streamed(content).output[0]]


def _named(item: Any) -> tuple[str, str | None]:
    assert isinstance(item, ResponseFunctionToolCall | ResponseCustomToolCall)
    return item.name, item.namespace


def test_a_tool_is_offered_called_and_replayed_under_one_name() -> None:
    tools = [LOOK, space("mcp__docs__", LOOK), space("web", {**LOOK, "defer_loading": True})]
    offered = names(tools=tools)
    assert offered == ["look", "mcp__docs__look", "web__look"]
    parts = [("look", None), ("look", "mcp__docs__"), ("look", "web")]
    for name, expected in zip(offered, parts, strict=True):
        for item in called(name, tools=tools):
            assert _named(item) == expected
            assert item.arguments == '{"a":1}'
            replayed = item.model_dump(exclude_none=True)
            [message] = neutral(input=[replayed], tools=tools)["messages"]
            assert message["tool_calls"][0]["function"]["name"] == name


def test_tools_that_came_later_count_too() -> None:
    later = space("functions", space("mcp__docs__", LOOK), kind="additional_tools")
    request = {"input": [later, *INPUT]}
    assert names(**request) == ["mcp__docs__look"]
    assert [_named(item) for item in called("mcp__docs__look", **request)] == (
        [("look", "mcp__docs__")] * 2
    )


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("mcp__" + "x" * 40, "y" * 40),
        ("mcp__docs", "files.read"),
        ("mcp__\u6587\u6863", "read"),
        ("a b", "c/d"),
    ],
)
def test_names_stay_within_the_rules_of_all_providers(namespace: str, name: str) -> None:
    [offered] = names(tools=[space(namespace, {**LOOK, "name": name})])
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", offered)
    assert offered != joined(namespace, name + "2")
    assert offered == joined(namespace, name)
    request = {"tools": [space(namespace, {**LOOK, "name": name})]}
    assert [_named(item) for item in called(offered, **request)] == [(name, namespace)] * 2


def test_names_that_would_be_the_same_are_told_apart() -> None:
    tools = [PLAIN, space("docs", LOOK), space("docs__", LOOK)]
    offered = names(tools=tools)
    assert len(set(offered)) == 3
    assert offered[0] == "docs__look"
    found = [_named(called(name, tools=tools)[0]) for name in offered]
    assert found == [("docs__look", None), ("look", "docs"), ("look", "docs__")]


def test_a_choice_may_name_a_tool_in_a_namespace() -> None:
    tools = [space("docs", LOOK, {"type": "custom", "name": "run"})]
    chosen = {"type": "function", "name": "look", "namespace": "docs"}
    function = {"type": "function", "function": {"name": "docs__look"}}
    assert neutral(tools=tools, tool_choice=chosen)["tool_choice"] == function
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [chosen]}
    assert names(tools=tools, tool_choice=allowed) == ["docs__look"]
    assert names(tools=tools) == ["docs__look", "docs__run"]


def test_a_namespace_without_tools_offers_none() -> None:
    assert "tools" not in neutral(tools=[space("docs")])
    with pytest.raises(CannotExpress) as refused:
        neutral(tools=[{**space("docs"), "tools": "all"}])
    assert refused.value.param == "tools[0].tools"
    with pytest.raises(CannotExpress) as refused:
        neutral(tools=[space("docs", {"type": "function"})])
    assert refused.value.param == "tools[0].tools[0].name"
