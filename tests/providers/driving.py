"""Runs an adapter's exchange against given replies, without sockets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.exchange import Done, Guarded, Steps, exchange_for
from providers.spec import Access, Answer, Call, Frame, ModelFacts, Provider, Reply, Request, Upload, Usage

Cut = Callable[[bytes], Sequence[bytes]]


def at_once(data: bytes) -> Sequence[bytes]:
    return [data]


def each_byte(data: bytes) -> Sequence[bytes]:
    return [data[number : number + 1] for number in range(len(data))]


@dataclass
class Outcome:
    """What a client would see of one exchange."""

    calls: list[Call]
    answer: Answer | None = None
    frames: list[Frame] = field(default_factory=list)
    usage: Usage | None = None
    finish_reason: str | None = None
    output_characters: int = 0

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [orjson.loads(frame.data) for frame in self.frames]

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message, put together from chunks where the answer was streamed."""
        if self.answer is not None:
            assert self.answer.body is not None
            message: dict[str, Any] = self.answer.body["choices"][0]["message"]
            return message
        return joined(self.chunks)


def joined(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What an OpenAI client makes of a stream: texts appended, tool calls by index, lists extended."""
    message: dict[str, Any] = {"content": None}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for name in ("content", "reasoning_content"):
                if isinstance(delta.get(name), str):
                    message[name] = (message.get(name) or "") + delta[name]
            for name in ("provider_blocks", "annotations"):
                if delta.get(name):
                    message[name] = message.get(name, []) + delta[name]
            for call in delta.get("tool_calls") or ():
                kept = calls.setdefault(call["index"], {"id": call.get("id"), "function": {"name": "", "arguments": ""}})
                for name in ("name", "arguments"):
                    kept["function"][name] += call["function"].get(name) or ""
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message


def request_of(case: Mapping[str, Any]) -> Request:
    upload = case.get("upload")
    from providers.spec import Operation

    return Request(
        Operation(case.get("operation", "chat.completions")),
        case["model"],
        case.get("body", {}),
        stream=case.get("stream", False),
        upload=Upload(upload["filename"], upload["content_type"], upload["data"].encode()) if upload else None,
    )


def run(
    provider: Provider, request: Request, access: Access, facts: ModelFacts, replies: Sequence[Reply], *, cut: Cut = at_once
) -> Outcome:
    """Drives one exchange. Raises ProviderError. The input must come out as it went in: that is asserted."""
    before = copy.deepcopy((request.body, dict(access.values), dict(facts.parameters)))
    try:
        return drive(exchange_for(provider, request, access, facts), provider, replies, cut=cut, secrets=list(access.values.values()))
    finally:
        assert (request.body, dict(access.values), dict(facts.parameters)) == before, "an adapter changed its input"


def drive(
    make: Callable[[], Generator[Call, Reply, Any]],
    provider: Provider,
    replies: Sequence[Reply],
    *,
    cut: Cut = at_once,
    secrets: Sequence[str] = (),
) -> Outcome:
    steps: Steps[Any] = Steps(make, errors=provider.errors, secrets=secrets, retries=0, deadline=10.0, clock=lambda: 0.0)
    outcome = Outcome([])
    left = list(replies)
    step = steps.begin()
    while not isinstance(step, Done):
        assert isinstance(step, Call)
        outcome.calls.append(step)
        assert left, f"the wire made one call more than there are replies: {step.method} {step.url}"
        reply = left.pop(0)
        body = reply.body
        opened = step.stream and 200 <= reply.status < 300
        step = steps.answered(Reply(reply.status, reply.headers, b"" if opened else body, open=opened))
        if opened and isinstance(step, Done):
            return streamed(outcome, step.value, body, cut)
    assert not left, "the wire made fewer calls than there are replies"
    if isinstance(step.value, Guarded):
        return streamed(outcome, step.value, b"", cut)
    outcome.answer = step.value
    if isinstance(step.value, Answer):
        outcome.usage, outcome.finish_reason = step.value.usage, step.value.finish_reason
    return outcome


def streamed(outcome: Outcome, decoder: Guarded, body: bytes, cut: Cut) -> Outcome:
    for piece in cut(body):
        outcome.frames += decoder.feed(piece)
    outcome.frames += decoder.finish()
    assert decoder.done
    outcome.usage, outcome.finish_reason = decoder.usage, decoder.finish_reason
    outcome.output_characters = decoder.output_characters
    return outcome
