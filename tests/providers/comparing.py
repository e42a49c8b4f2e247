"""What a case expects, compared with what came of it.

expect: `calls` (the keys that are named are compared, `body` wholly, `body_holds` texts), and what
the client sees: `message` (subset; joined from chunks where streamed), `starts` (beginnings of the
message's texts), `lengths` (characters of them), `tools` ([name, arguments] of its calls), `body`
(subset), `content` or `content_hex` and `content_type`, `usage`, `finish_reason`, `usage_only`
(frames with nothing but usage), `output_characters`, `untouched` (what came is what the provider
sent); of lists `models` (name: subset of its row, or null where it must not be there) and
`model_count`; or `error`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Call, ListedModel, Usage
from tests.fakes import framing
from tests.providers.driving import Outcome

KEYS = {
    *(
        "calls",
        "message",
        "starts",
        "lengths",
        "tools",
        "body",
        "content",
        "content_hex",
        "content_type",
        "usage",
        "finish_reason",
    ),
    *("usage_only", "output_characters", "untouched", "models", "model_count", "error"),
}


def compare(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    assert not expected.keys() - KEYS
    if "calls" in expected:
        compare_calls(outcome.calls, expected["calls"])
    compare_message(outcome, expected)
    compare_answer(outcome, expected)
    for name in ("finish_reason", "output_characters"):
        if name in expected:
            assert getattr(outcome, name) == expected[name]
    if "usage" in expected:
        assert outcome.usage == (
            Usage(**expected["usage"]) if expected["usage"] is not None else None
        )
    if "usage_only" in expected:
        assert sum(frame.usage_only for frame in outcome.frames) == expected["usage_only"]
    if expected.get("untouched"):
        compare_bytes(outcome)
    compare_models(outcome.answer, expected)


def compare_bytes(outcome: Outcome) -> None:
    if outcome.answer is None:
        sent = framing.data_of(outcome.sent)
        assert outcome.chunks == [json.loads(data) for data in sent]
        assert all(
            frame.data == data
            for frame, data in zip(outcome.frames, sent, strict=True)
            if b"\n" not in data
        )
    elif outcome.answer.body is None:
        assert outcome.answer.content == outcome.sent
    else:
        assert outcome.answer.body == json.loads(outcome.sent)


def compare_message(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    if not expected.keys() & {"message", "starts", "lengths", "tools"}:
        return
    message = outcome.message
    wanted = expected.get("message", {})
    assert {name: message.get(name) for name in wanted} == wanted
    for name, text in expected.get("starts", {}).items():
        assert (message.get(name) or "").startswith(text), message.get(name)
    lengths = expected.get("lengths", {})
    assert {name: len(message.get(name) or "") for name in lengths} == lengths
    if "tools" in expected:
        assert tools_of(message) == expected["tools"]


def tools_of(message: Mapping[str, Any]) -> list[list[Any]]:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return [[call["name"], json.loads(call["arguments"])] for call in calls]


def compare_answer(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    if not expected.keys() & {"body", "content", "content_hex", "content_type"}:
        return
    answer = outcome.answer
    assert answer is not None
    if "body" in expected:
        assert answer.body is not None
        assert {name: answer.body.get(name) for name in expected["body"]} == expected["body"]
    if "content" in expected:
        assert answer.content == expected["content"].encode()
    if "content_hex" in expected:
        assert answer.content == bytes.fromhex(expected["content_hex"])
    if "content_type" in expected:
        assert answer.content_type == expected["content_type"]


def compare_models(found: Any, expected: Mapping[str, Any]) -> None:
    if not expected.keys() & {"models", "model_count"}:
        return
    listed: dict[str, ListedModel] = {model.name: model for model in found}
    assert len(listed) == expected.get("model_count", len(listed))
    for name, wanted in expected.get("models", {}).items():
        assert (name in listed) is (wanted is not None), name
        row = asdict(listed[name]) if wanted is not None else {}
        row["features"] = sorted(row.get("features") or ())
        assert {key: row[key] for key in wanted or ()} == (wanted or {})


def compare_calls(calls: list[Call], expected: list[dict[str, Any]]) -> None:
    assert len(calls) == len(expected)
    for call, wanted in zip(calls, expected, strict=True):
        assert wanted.keys() <= {"method", "url", "headers", "body", "body_holds", "delay", "undo"}
        assert (call.method, call.url) == (
            wanted.get("method", call.method),
            wanted.get("url", call.url),
        )
        assert {name: call.headers.get(name) for name in wanted.get("headers", {})} == wanted.get(
            "headers", {}
        )
        if "body" in wanted:
            assert json.loads(call.body or b"null") == wanted["body"]
        for text in wanted.get("body_holds", ()):
            assert text.encode() in (call.body or b"")
        if "delay" in wanted:
            assert call.delay == wanted["delay"]
        if "undo" in wanted:
            assert (call.undo and call.undo.url) == wanted["undo"]


def compare_error(error: ProviderError, expected: Mapping[str, Any]) -> None:
    seen: dict[str, Any] = {
        "failure": error.failure.value,
        "code": error.provider_code,
        "param": error.param,
        "status": error.status,
    }
    seen |= {"message": error.message, "sent": error.sent, "retry_after": error.retry_after}
    assert {name: seen[name] for name in expected} == expected
    assert error.message
