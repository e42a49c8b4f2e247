"""Requests of the Responses door in the neutral form: what clients were seen to send."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest

from gateway.dataplane.doors.openai_responses import kept
from gateway.dataplane.doors.responses import DOOR
from gateway.dataplane.errors import Refusal
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Operation
from tests.gateway.dataplane.doors.responses.reader import INPUT, OURS, asked, neutral

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}


def messages(*items: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = neutral(input=list(items))["messages"]
    return found


def test_what_codex_sends() -> None:
    body = neutral(
        instructions="You are Codex.",
        input=[
            {"type": "message", "role": "developer", "content": [_text("Rules")]},
            {"type": "message", "role": "user", "content": [_text("Run it")]},
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAA"},
            {**CALL, "id": None},
            {"type": "function_call_output", "call_id": "c1", "output": "hello-42"},
        ],
        tools=[TOOL, {"type": "namespace", "name": "mcp", "tools": []}, {"type": "web_search"}],
        tool_choice="auto",
        parallel_tool_calls=False,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        client_metadata={"session": "s"},
        text={"verbosity": "low"},
        previous_response_id=None,
    )
    function = {"name": "look", "parameters": {"type": "object"}}
    called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert body == {
        "messages": [
            {"role": "system", "content": "You are Codex."},
            {"role": "developer", "content": "Rules"},
            {"role": "user", "content": "Run it"},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "c1", "content": "hello-42"},
        ],
        "stream": True,
        "reasoning_effort": "medium",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }


def _text(text: str) -> dict[str, str]:
    return {"type": "input_text", "text": text}


def test_tools_that_came_later_are_tools() -> None:
    """Codex sends them so to models that it knows."""
    namespace = {"type": "namespace", "name": "functions", "tools": []}
    later = {"type": "additional_tools", "role": "developer", "tools": [namespace, TOOL]}
    body = neutral(input=[later, *INPUT])
    assert body["messages"] == INPUT
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look"]


def test_a_text_is_a_message() -> None:
    assert neutral(input="Hi")["messages"] == INPUT


def test_pictures_and_files_are_parts() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    file = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,AA",
    }
    (message,) = messages({"role": "user", "content": [_text("Look"), picture, file]})
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "file"]
    assert message["content"][1]["image_url"] == {"url": picture["image_url"], "detail": "low"}


def test_results_follow_their_calls_whatever_came_between() -> None:
    picture = {"type": "input_image", "image_url": "https://a.test/x.png"}
    found = messages(
        CALL,
        {**CALL, "call_id": "c2"},
        {"role": "user", "content": "Meanwhile"},
        {"type": "function_call_output", "call_id": "c2", "output": [_text("two"), picture]},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
    )
    assert [message["role"] for message in found] == ["assistant", "tool", "tool", "user", "user"]
    assert [message["content"] for message in found[1:3]] == ["one", "two"]
    assert found[4]["content"][1]["type"] == "image_url"


def test_limits_formats_and_probabilities() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    body = neutral(
        max_output_tokens=9,
        temperature=0,
        top_p=1,
        text={"format": schema},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert {name: body[name] for name in ("max_tokens", "temperature", "top_p")} == {
        "max_tokens": 9,
        "temperature": 0,
        "top_p": 1,
    }
    described = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": described}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        (
            {"type": "function", "name": "look"},
            {"type": "function", "function": {"name": "look"}},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"name": "look"}]},
            "required",
        ),
    ],
)
def test_choices_of_a_tool(choice: Any, expected: Any) -> None:
    body = neutral(tools=[TOOL, {**TOOL, "name": "other"}], tool_choice=choice)
    assert body["tool_choice"] == expected
    has_all = not isinstance(choice, dict) or choice["type"] == "function"
    assert len(body["tools"]) == (2 if has_all else 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"new_field": 1}, "new_field"),
        ({"input": []}, "input"),
        ({"input": [{"type": "mcp_call"}]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]},
            "input[0].content[0].file_url",
        ),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]},
            "input[0].call_id",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        (
            {"input": [*INPUT, {"type": "additional_tools", "tools": [{"type": "mcp"}]}]},
            "input[1].tools[0]",
        ),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"text": "json"}, "text"),
        ({"reasoning": "high"}, "reasoning"),
    ],
)
def test_what_cannot_be_expressed_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(CannotExpress) as refused:
        neutral(**body)
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"background": True}, "background"),
        ({"input": 5}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_no_provider_gets_is_refused_at_once(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        asked(**body)
    assert (refused.value.status, refused.value.param) == (400, field)


def reply(text: str = "Said before") -> list[dict[str, Any]]:
    """The items of an answer, as a client keeps them."""
    said = {"role": "assistant", "content": text, "reasoning_content": "Hm."}
    answer = Answer({"choices": [{"message": said, "finish_reason": "stop"}]})
    content = DOOR.write(answer, {}, asked())
    items: list[dict[str, Any]] = orjson.loads(content)["output"]
    return items


def test_ids_of_another_workspace_are_like_any_unknown_id() -> None:
    reference = {"type": "item_reference", "id": reply()[1]["id"]}
    assert neutral(OURS, input=[reference])["messages"][0]["content"] == "Said before"
    refusals = []
    for tenant, identity in ((uuid4(), reference["id"]), (OURS, "msg_unknown")):
        with pytest.raises(CannotExpress, match="store: false") as refused:
            neutral(tenant, input=[{"type": "item_reference", "id": identity}])
        refusals.append((refused.value.message, refused.value.param))
    assert refusals[0] == refusals[1]


def test_reasoning_of_another_workspace_is_lost() -> None:
    thought = {**reply()[0], "id": "rs_1", "content": []}
    items = [thought, {"role": "assistant", "content": "Yes"}]
    assert neutral(OURS, input=items)["messages"][0]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in neutral(uuid4(), input=items)["messages"][0]


def test_what_is_too_long_has_a_short_id() -> None:
    noise = "".join(uuid4().hex for _number in range(kept.LONGEST // 16))
    message = reply(noise)[1]
    assert len(message["id"]) < 100
    with pytest.raises(CannotExpress, match="store: false"):
        neutral(input=[{"type": "item_reference", "id": message["id"]}])


def test_a_provider_of_the_format_never_gets_what_is_sealed_here() -> None:
    assert DOOR.read(Operation.CHAT, {"input": INPUT}).as_sent
    assert not DOOR.read(Operation.CHAT, {"input": [*INPUT, *reply()]}).as_sent
    assert DOOR.read(Operation.CHAT, {"input": "mk1_ is a text"}).as_sent
