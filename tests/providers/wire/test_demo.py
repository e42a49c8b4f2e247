"""The demo's made-up values fit their schemas, within bounds; its files are what they say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from providers.declaration import registry
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Access, ModelFacts, Operation, Request, Upload
from providers.wire.demo.schemas import instance_of
from providers.wire.demo.speech import MP3_FRAME
from providers.wire.demo.transcripts import TRANSCRIPT
from tests.providers.driving import run

NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.75},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {"type": ["null", "integer"], "exclusiveMaximum": -3, "multipleOf": 5},
        {"type": "integer", "minimum": 3, "maximum": 3},
        {"type": "string", "minLength": 20, "maxLength": 20},
        {"type": "string", "maxLength": 2},
        {"type": "string", "format": "date-time"},
        {"enum": [3, 4]},
        {"const": {"a": 1}},
        {"oneOf": [{"type": "boolean"}, {"type": "null"}]},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False},
        {"type": "array", "items": {"type": "string"}, "minItems": 3},
        {"type": "array", "items": {"type": "string"}, "maxItems": 0},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
            ]
        },
        {"properties": {"a/b": {"type": "number", "minimum": 2.25}, "c": True}},
        {},
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_made_up_value_fits_its_schema(schema: dict[str, Any], whole: bool) -> None:
    value = instance_of(schema, "tools", whole=whole)
    jsonschema.Draft202012Validator(schema).validate(value)
    json.dumps(value, allow_nan=False)


OPTIONAL = {"type": "string"}
NULLABLE = {"type": ["string", "null"]}
EITHER = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("properties", "required", "filled"),
    [
        ({"command": {"type": "string"}, "workdir": OPTIONAL}, ["command"], {"command": "command"}),
        ({"a": NULLABLE, "b": EITHER}, ["a", "b"], {"a": None, "b": None}),
        ({"a": {"enum": ["x", None]}, "b": {"default": 3}}, ["a", "b"], {"a": "x", "b": 3}),
        ({"a": {"type": "object", "properties": {"b": OPTIONAL}}}, ["a"], {"a": {}}),
        ({"workdir": OPTIONAL}, [], {}),
    ],
)
def test_optional_arguments_are_left_out(
    properties: dict[str, Any], required: list[str], filled: dict[str, Any]
) -> None:
    schema = {"type": "object", "properties": properties, "required": required}
    call = call_of("bash", schema)
    assert call == filled
    jsonschema.Draft202012Validator(schema).validate(call)


def test_typed_arguments_are_completed() -> None:
    """Agents refuse calls that lack an argument."""
    properties = {"command": {"type": "string"}, "description": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    call = call_of('bash {"command": "ls"}', schema)
    assert call == {"command": "ls", "description": "description"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
    ],
)
def test_a_value_without_end_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(CannotExpress) as caught:
        instance_of(schema, "tools")
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": True, "multipleOf": 0},
        {"type": "number", "minimum": 10**400},
        {"properties": [], "required": {}, "anyOf": [3]},
        {"$ref": "#/nowhere/~2"},
        {"type": "array", "items": 3, "minItems": "many"},
    ],
)
def test_a_schema_that_is_none_does_no_harm(schema: dict[str, Any]) -> None:
    json.dumps(instance_of(schema, "tools"), allow_nan=False)


@pytest.mark.parametrize(("text", "seconds"), [("Hi", 0.12), ("long " * 1000, 5.0)])
def test_an_mp3_is_made_of_whole_frames(text: str, seconds: float) -> None:
    body = {"input": text, "voice": "alloy"}
    answer = answer_of(Operation.SPEECH, "demo-speech", body)
    assert answer.content_type == "audio/mpeg"
    assert answer.content[:3] == b"ID3"
    tag, sound = answer.content[:200].partition(b"\xff")[0], answer.content.partition(b"\xff")[2]
    assert b"Modelkeep demonstration" in tag
    assert len(tag) == 10 + tag[9]
    frames = (b"\xff" + sound).split(MP3_FRAME)
    assert set(frames) == {b""}
    assert (len(frames) - 1) * 0.024 == pytest.approx(seconds, abs=0.024)


@pytest.mark.parametrize("asked", [["word"], ["segment"], ["word", "segment"], None])
def test_a_detailed_transcript_has_the_timestamps_asked_for(asked: list[str] | None) -> None:
    body = {"response_format": "verbose_json", "timestamp_granularities": asked}
    answer = answer_of(Operation.TRANSCRIPTION, "demo-transcribe", body).body
    parts = [name for name in ("word", "segment") if f"{name}s" in answer]
    assert parts == (asked or ["segment"])
    for part in parts:
        times = [(one["start"], one["end"]) for one in answer[f"{part}s"]]
        assert [end for _start, end in times[:-1]] == [start for start, _end in times[1:]]
        assert times[-1][1] == answer["duration"]
    if asked == ["word"]:
        assert answer["words"][0]["word"] == TRANSCRIPT.split()[0]


def answer_of(operation: Operation, model: str, body: dict[str, Any]) -> Any:
    upload = Upload("a.mp3", "audio/mpeg", b"ID3...")
    request = Request(operation, model, body, upload=upload)
    return run(registry.get("demo"), request, Access({}), ModelFacts(), []).answer


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([{"role": "user", "content": "hi"}], "You wrote: hi"),
        (
            [
                {"role": "user", "content": "f"},
                {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "42"},
            ],
            "The tool answered: 42",
        ),
    ],
)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_after_the_last_turn_are_not_answered(
    before: list[dict[str, Any]], said: str, role: str
) -> None:
    """Claude Code puts its remarks there if it doesn't know the model."""
    messages = [*before, {"role": role, "content": "Today is Monday."}]
    answer = answer_of(Operation.CHAT, "demo-chat", {"messages": messages})
    content = answer.body["choices"][0]["message"]["content"]
    assert content.endswith(said)


def test_arguments_are_read_from_text_that_an_agent_quoted() -> None:
    """opencode sends what people type as a JSON string."""
    parameters = {"type": "object", "properties": {"command": {"type": "string"}}}
    typed = 'bash {"command": "echo \'a b\'"}'
    for content in (typed, json.dumps(typed)):
        assert call_of(content, parameters) == {"command": "echo 'a b'"}


def call_of(content: str, parameters: dict[str, Any]) -> Any:
    """Return the arguments with which the only tool, `bash`, is called."""
    tool = {"type": "function", "function": {"name": "bash", "parameters": parameters}}
    body = {"messages": [{"role": "user", "content": content}], "tools": [tool]}
    answer = answer_of(Operation.CHAT, "demo-chat", body)
    [call] = answer.body["choices"][0]["message"]["tool_calls"]
    return json.loads(call["function"]["arguments"])
