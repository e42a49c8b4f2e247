"""Runs an adapter's exchange against given replies, without sockets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    Frame,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Usage,
)
from providers.transport.safe_decoder import SafeDecoder
from providers.transport.steps import Done, Pause, Steps, exchange_for
from providers.wire.http import unversioned
from providers.wire.native.in_part import unspoken
from providers.wire.repairs.asking import refused
from providers.wire.thinking.streams import unopened
from tests.fakes.framing import at_once

Cut = Callable[[bytes], Sequence[bytes]]


@dataclass
class Outcome:
    """What a client would see of one exchange."""

    calls: list[Call]
    answer: Answer | None = None
    frames: list[Frame] = field(default_factory=list)
    usage: Usage | None = None
    finish_reason: str | None = None
    output_characters: int = 0
    sent: bytes = b""  # the body of the provider's last whole answer, or of its open one

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
    """What an OpenAI client makes of a stream: texts appended, tool calls by index, lists
    extended.
    """
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
                kept = calls.setdefault(
                    call["index"], {"id": call.get("id"), "function": {"name": "", "arguments": ""}}
                )
                for name in ("name", "arguments"):
                    kept["function"][name] += call["function"].get(name) or ""
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message


def run(
    provider: Provider,
    request: Request,
    access: Access,
    facts: ModelFacts,
    replies: Sequence[Reply],
    *,
    cut: Cut = at_once,
    made: list[Call] | None = None,
) -> Outcome:
    """Drives one exchange. Raises ProviderError. The input must come out as it went in: that is
    asserted.
    """
    before = copy.deepcopy(
        (request.body, dict(access.values), dict(access.model_values), dict(facts.parameters))
    )
    secrets = [*access.values.values(), *access.model_values.values()]
    try:
        return drive(
            exchange_for(provider, request, access, facts),
            provider,
            replies,
            cut=cut,
            secrets=secrets,
            made=made,
        )
    finally:
        after = (
            request.body,
            dict(access.values),
            dict(access.model_values),
            dict(facts.parameters),
        )
        assert after == before, "an adapter changed its input"


def drive(
    make: Callable[[], Generator[Call, Reply, Any]],
    provider: Provider,
    replies: Sequence[Reply],
    *,
    cut: Cut = at_once,
    secrets: Sequence[str] = (),
    made: list[Call] | None = None,
    forget: bool = True,
) -> Outcome:
    """made: gets the calls, also where the exchange ends in an error. forget: what earlier calls
    taught about servers.
    """
    if forget:
        for facts in (refused, unopened, unspoken, unversioned):
            facts.clear()
    steps: Steps[Any] = Steps(
        make, errors=provider.errors, secrets=secrets, retries=0, deadline=1000.0, clock=lambda: 0.0
    )
    outcome = Outcome([] if made is None else made)
    left = list(replies)
    result, body = advance(steps, outcome, left)
    if isinstance(result, SafeDecoder):
        streamed(outcome, steps, result, body, left, cut)
    else:
        outcome.answer = result
        if isinstance(result, Answer):
            outcome.usage, outcome.finish_reason = result.usage, result.finish_reason
    assert not left, "the wire made fewer calls than there are replies"
    return outcome


def advance(steps: Steps[Any], outcome: Outcome, left: list[Reply]) -> tuple[Any, bytes]:
    """What the exchange returns, and the body that its last call left open."""
    step = steps.begin()
    opened = b""
    while not isinstance(step, Done):
        call = step.call if isinstance(step, Pause) else step
        outcome.calls.append(call)
        assert left, f"the wire made one call more than there are replies: {call.method} {call.url}"
        reply = left.pop(0)
        is_open = call.stream and 200 <= reply.status < 300
        opened = reply.body if is_open else b""
        outcome.sent = reply.body
        step = steps.answered(
            Reply(reply.status, reply.headers, b"" if is_open else reply.body, open=is_open)
        )
    return step.value, opened


def streamed(
    outcome: Outcome,
    steps: Steps[Any],
    decoder: SafeDecoder,
    body: bytes,
    left: list[Reply],
    cut: Cut,
) -> None:
    """As the transports do it: the open body to its end, then every further call that the decoder
    asks for.
    """
    for piece in cut(body):
        outcome.frames += decoder.feed(piece)
        if decoder.done:
            break
    if not decoder.done:
        outcome.frames += () if not body and decoder.next_call else decoder.finish()
    while (call := decoder.next_call) is not None:
        outcome.frames += decoder.answered(advance(steps.following(call), outcome, left)[0])
    if not decoder.done:
        outcome.frames += decoder.finish()
    assert decoder.done
    outcome.usage, outcome.finish_reason = decoder.usage, decoder.finish_reason
    outcome.output_characters = decoder.output_characters
