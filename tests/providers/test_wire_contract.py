"""The contract of every adapter, told as data: tests/providers/cases/<slug>.json.

A case: a neutral request (operation, model, body, stream, upload, facts, access), what the adapter must send (`calls`: the
keys that are named are compared, `body` wholly), the replies it is given, and what must come of it: `body` (subset) or
`message` (subset, joined from chunks where streamed), usage, finish_reason, frames (usage_only flags), or `error`.
Each streamed case runs whole, split at every byte, with CRLF, with comments and without its last blank line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from providers import registry
from providers.errors import ProviderError
from providers.spec import Access, ModelFacts, Reply, Usage
from tests.providers.driving import Outcome, at_once, each_byte, request_of, run

CASES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "cases").glob("*.json"))}
ALL = [pytest.param(slug, case, id=f"{slug}: {case['shows']}") for slug, cases in CASES.items() for case in cases]
STREAMS = [param for param in ALL if param.values[1].get("stream")]


def crlf(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r\n")


def carriage_returns(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r")


def comments(stream: bytes) -> bytes:
    return b": hello\n\n" + stream.replace(b"\n\n", b"\n\n: ping\n:\nretry: 10\nid: 3\n\n")


def no_blank_line(stream: bytes) -> bytes:
    return stream.rstrip(b"\n")


def facts_of(case: Mapping[str, Any]) -> ModelFacts:
    facts = dict(case.get("facts", {}))
    return ModelFacts(**{**facts, "features": frozenset(facts.get("features", ()))})


def reply_of(reply: Mapping[str, Any], frame: Callable[[bytes], bytes]) -> Reply:
    if "events" in reply:
        stream = "".join(
            event if isinstance(event, str) else f"data: {json.dumps(event, separators=(',', ':'))}\n\n" for event in reply["events"]
        )
        return Reply(200, {"content-type": "text/event-stream"}, frame(stream.encode()))
    text = reply["text"] if "text" in reply else json.dumps(reply.get("json"))
    return Reply(reply.get("status", 200), reply.get("headers", {"content-type": "application/json"}), text.encode())


def play(slug: str, case: Mapping[str, Any], frame: Callable[[bytes], bytes] = bytes, cut: Any = at_once) -> Outcome:
    access = case.get("access", {})
    account = Access(access.get("values", {"api_key": "test-key-0123456789"}), access.get("base_url", ""))
    replies = [reply_of(reply, frame) for reply in case.get("replies", ())]
    return run(registry.get(slug), request_of(case), account, facts_of(case), replies, cut=cut)


def check(slug: str, case: Mapping[str, Any], **options: Any) -> None:
    expected = case["expect"]
    if "error" in expected:
        with pytest.raises(ProviderError) as caught:
            play(slug, case, **options)
        error = {"failure": caught.value.failure.value, "code": caught.value.provider_code, "param": caught.value.param}
        error |= {"message": caught.value.message, "sent": caught.value.sent, "retry_after": caught.value.retry_after}
        assert {name: error[name] for name in expected["error"]} == expected["error"]
        return
    compare(play(slug, case, **options), expected)


def compare(outcome: Outcome, expected: Mapping[str, Any]) -> None:
    unknown = expected.keys() - {"calls", "message", "body", "content", "usage", "finish_reason", "usage_only"}
    assert not unknown
    if "calls" in expected:
        compare_calls(outcome, expected["calls"])
    if "message" in expected:
        assert {name: outcome.message.get(name) for name in expected["message"]} == expected["message"]
    if "body" in expected:
        assert outcome.answer is not None
        assert outcome.answer.body is not None
        assert {name: outcome.answer.body.get(name) for name in expected["body"]} == expected["body"]
    if "content" in expected:
        assert outcome.answer is not None
        assert outcome.answer.content == expected["content"].encode()
    if "usage" in expected:
        assert outcome.usage == (Usage(**expected["usage"]) if expected["usage"] is not None else None)
    if "finish_reason" in expected:
        assert outcome.finish_reason == expected["finish_reason"]
    if "usage_only" in expected:
        assert sum(frame.usage_only for frame in outcome.frames) == expected["usage_only"]


def compare_calls(outcome: Outcome, expected: list[dict[str, Any]]) -> None:
    assert len(outcome.calls) == len(expected)
    for call, wanted in zip(outcome.calls, expected, strict=True):
        assert wanted.keys() <= {"method", "url", "headers", "body", "body_holds"}
        assert (call.method, call.url) == (wanted.get("method", call.method), wanted.get("url", call.url))
        assert {name: call.headers.get(name) for name in wanted.get("headers", {})} == wanted.get("headers", {})
        if "body" in wanted:
            assert json.loads(call.body or b"null") == wanted["body"]
        for text in wanted.get("body_holds", ()):
            assert text.encode() in (call.body or b"")


@pytest.mark.parametrize(("slug", "case"), ALL)
def test_case(slug: str, case: dict[str, Any]) -> None:
    check(slug, case)


@pytest.mark.parametrize("frame", [bytes, crlf, carriage_returns, comments, no_blank_line])
@pytest.mark.parametrize(("slug", "case"), STREAMS)
def test_stream_framed_and_split_at_every_byte(slug: str, case: dict[str, Any], frame: Callable[[bytes], bytes]) -> None:
    check(slug, case, frame=frame)
    check(slug, case, frame=frame, cut=each_byte)


def test_every_provider_has_cases_for_each_operation() -> None:
    for provider in registry.all_providers():
        told = {request_of(case).operation for case in CASES[provider.slug]}
        assert told == set(provider.operations), provider.slug
        assert provider.local or any("error" in case["expect"] for case in CASES[provider.slug]), provider.slug
