"""What a request lacks is told as what it is: missing, null, empty or of another type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.dataplane.doors.anthropic.requests import neutral_body as from_messages
from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.registry import ENDPOINTS, Endpoint
from gateway.dataplane.errors import Refusal, from_provider
from gateway.dataplane.requests.http import _read_json as read_json
from gateway.openapi.formats.registry import format_of
from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.failures.reasons import Reason
from providers.operations.table import OPERATIONS
from tenants.crypto.keys import Seal
from tests.gateway.dataplane.doors.responses.reader import OURS
from tests.gateway.dataplane.doors.responses.reader import neutral as from_responses

USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "c", "name": "look"}


def required(endpoint: Endpoint) -> list[str]:
    check = format_of(endpoint).check or OPERATIONS[endpoint.operation].check
    return list(check.schema.get("required") or ())


FIELDS = [(path, name) for path, endpoint in ENDPOINTS.items() for name in required(endpoint)] + [
    ("/v1/responses", "input")
]


@pytest.mark.parametrize(("path", "name"), FIELDS)
def test_a_required_field_is_told_as_what_it_is(path: str, name: str) -> None:
    endpoint = ENDPOINTS[path]
    spec = OPERATIONS[endpoint.operation]
    body = dict(format_of(endpoint).example or spec.example or spec.probe)
    body |= {other: spec.probe[other] for other in required(endpoint) if other not in body}
    without = {other: value for other, value in body.items() if other != name}
    told = {
        "missing": refused(endpoint, without, name),
        "null": refused(endpoint, {**body, name: None}, name),
        "a number": refused(endpoint, {**body, name: 7}, name),
        "a boolean": refused(endpoint, {**body, name: True}, name),
    }
    if isinstance(body[name], list):
        told["empty"] = refused(endpoint, {**body, name: []}, name)
    elif path not in ("/v1/responses", "/v1/completions"):  # empty prompts are for the provider
        told["empty"] = refused(endpoint, {**body, name: ""}, name)
    for problem, refusal in told.items():
        said = f"{name} is {problem}: send" if problem in ("missing", "null", "empty") else problem
        assert said in refusal.message


def refused(endpoint: Endpoint, body: Any, param: str | None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        endpoint.door.read(endpoint.operation, body)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)
    return caught.value


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize(
    ("message", "param", "said"),
    [
        ("Hi", "messages[1]", "messages[1] must be an object, not a string."),
        ({}, "messages[1].role", "messages[1].role is missing: send a role, such as user."),
        ({"role": None}, "messages[1].role", "messages[1].role is null: send a role"),
        ({"role": []}, "messages[1].role", "must be a role, such as user, not a list."),
    ],
)
def test_a_message_is_told_as_what_it_is(path: str, message: Any, param: str, said: str) -> None:
    assert said in refused(ENDPOINTS[path], {"messages": [USER, message]}, param).message


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_input_may_be_missing_where_something_else_stands_in_its_place(name: str) -> None:
    endpoint = ENDPOINTS["/v1/responses"]
    endpoint.door.read(endpoint.operation, {name: {"id": "resp_1"}})
    refused(endpoint, {name: None}, "input")


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "The body is empty"), (b" \n", "The body is empty"), (b"null", "not null."),
     (b"[]", "not a list."), (b"1", "not a number.")],
)  # fmt: skip
def test_a_body_is_told_as_what_it_is(data: bytes, said: str) -> None:
    endpoint = ENDPOINTS["/v1/chat/completions"]
    with pytest.raises(Refusal, match=said):
        endpoint.door.read(endpoint.operation, read_json(data))


@pytest.mark.parametrize(
    ("item", "param", "said"),
    [
        ({}, ".type", "is missing"),
        ({"role": "user"}, ".content", "is missing"),
        ({"role": "user", "content": None}, ".content", "is null"),
        ({"role": "user", "content": 1}, ".content", "not a number"),
        ({"role": "user", "content": ["Hi"]}, ".content[0]", "not a string"),
        ({"role": "user", "content": [{}]}, ".content[0].type", "is missing"),
        ({"role": "user", "content": [{"type": "input_text"}]}, ".content[0].text", "is missing"),
        (
            {"role": "user", "content": [{"type": "input_image"}]},
            ".content[0].image_url",
            "is missing",
        ),
        (
            {"role": "user", "content": [{"type": "input_file", "file_data": ""}]},
            ".content[0].file_data",
            "is empty",
        ),
        ({**CALL, "call_id": ""}, ".call_id", "is empty"),
        ({**CALL, "name": None}, ".name", "is null"),
        ({"type": "function_call_output", "output": "x"}, ".call_id", "is missing"),
        ({"type": "item_reference", "id": 1}, ".id", "not a number"),
    ],
)
def test_an_item_is_told_as_what_it_is(item: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(CannotExpress) as caught:
        from_responses(input=[USER, item])
    assert caught.value.param == f"input[1]{param}"
    assert caught.value.message.startswith(f"input[1]{param} ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"input": ""}, "input", "input is empty"),
        ({"input": []}, "input", "input is empty"),
        ({"input": [{"type": "web_search_call"}]}, "input", "input holds no message"),
        ({"tools": {}}, "tools", "not an object"),
        ({"tools": [{"name": "look"}]}, "tools[0].type", "is missing"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "is missing"),
        ({"tools": ["look"]}, "tools[0]", "not a string"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "is missing"),
        ({"instructions": 1}, "instructions", "not a number"),
    ],
)
def test_fields_of_a_response(fields: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(CannotExpress, match=said) as caught:
        from_responses(**{"input": "Hi"} | fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("block", "param", "said"),
    [
        ({}, ".type", "is missing"),
        ({"type": "text"}, ".text", "is missing"),
        ({"type": "text", "text": None}, ".text", "is null"),
        ({"type": "image"}, ".source", "is missing"),
        ({"type": "image", "source": "a"}, ".source", "not a string"),
        ({"type": "image", "source": {}}, ".source.type", "is missing"),
        ({"type": "image", "source": {"type": "url"}}, ".source.url", "is missing"),
        (
            {"type": "image", "source": {"type": "base64", "data": "aa"}},
            ".source.media_type",
            "is missing",
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "a/b", "data": ""}},
            ".source.data",
            "is empty",
        ),
        ({"type": "tool_result", "content": "x"}, ".tool_use_id", "is missing"),
        ("Hi", "", "not a string"),
    ],
)
def test_a_block_is_told_as_what_it_is(block: Any, param: str, said: str) -> None:
    with pytest.raises(CannotExpress) as caught:
        from_messages({"messages": [{"role": "user", "content": [block]}]})
    assert caught.value.param == f"messages[0].content[0]{param}"
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"messages": [{"role": "user"}]}, "messages[0].content", "is missing"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "not a number"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}]},
            "messages[0].content[0].name",
            "is missing",
        ),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name", "is missing"),
        ({"tools": 1}, "tools", "not a number"),
        ({"metadata": []}, "metadata", "not a list"),
    ],
)
def test_fields_of_a_message(fields: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(CannotExpress, match=said) as caught:
        from_messages({"messages": [USER]} | fields)
    assert caught.value.param == param


SHAPES: tuple[Any, ...] = (None, 1, "", [], {}, ["x"])
TEXT = {"type": "text", "text": "a"}
WHOLE = {
    "/v1/responses": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "u", "detail": "low"},
                    {"type": "input_file", "file_data": "d", "filename": "f"},
                ],
            },
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
            {**CALL, "namespace": "n", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [TEXT]},
            {"type": "additional_tools", "tools": [{"type": "function", "name": "f"}]},
        ],
        "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}],
        "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "schema": {}}},
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
    },
    "/v1/messages": {
        "system": [TEXT],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "n"}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "i", "content": [TEXT]},
                    {"type": "document", "source": {"type": "content", "content": [TEXT]}},
                    {"type": "search_result", "content": [TEXT]},
                ],
            },
        ],
        "tools": [{"name": "n", "input_schema": {}}],
        "tool_choice": {"type": "tool", "name": "n"},
        "thinking": {"type": "enabled", "budget_tokens": 3},
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
        "metadata": {"user_id": "u"},
    },
}


@pytest.mark.parametrize("path", WHOLE)
def test_no_shape_of_a_request_is_an_error_of_ours(path: str) -> None:
    """Every value of a request, at every depth, is replaced by values of other types."""
    untold = [shaped for shaped in replaced(WHOLE[path]) if not is_told(ENDPOINTS[path], shaped)]
    assert untold == []


def is_told(endpoint: Endpoint, shaped: Any) -> bool:
    """Whether a request is converted, or its refusal names a field."""
    try:
        body = endpoint.door.read(endpoint.operation, shaped).body
        endpoint.door.neutral(endpoint.operation, Asked(body, False, Seal(OURS), "u"))
    except (Refusal, CannotExpress) as refusal:
        return refusal.param is not None or not isinstance(shaped, dict)
    return True


def replaced(value: Any) -> Iterator[Any]:
    yield from SHAPES
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            for shape in replaced(inner):
                yield {**value, name: shape}
    if isinstance(value, list):
        for number, inner in enumerate(value):
            for shape in replaced(inner):
                yield [*value[:number], shape, *value[number + 1 :]]


def test_only_the_providers_own_words_are_told_as_the_providers() -> None:
    ours = CannotExpress("This model always reasons.", param="reasoning_effort")
    refusal = from_provider(ours, label="Demo (built in)")
    assert refusal.message == "This model always reasons. No model of Demo (built in) was called."
    lost = ProviderError(Failure.TIMEOUT, Reason("timeout"))
    assert from_provider(lost, label="OpenAI").message == (
        "The call to OpenAI failed. The provider did not answer in time."
    )
    theirs = ProviderError(Failure.BAD_REQUEST, "Unknown field.", status=400)
    assert from_provider(theirs, label="OpenAI").message == "OpenAI: Unknown field."
