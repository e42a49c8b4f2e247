"""Collect a stream into a whole answer, for models that only stream (see
chat_answers.frames_of).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from providers.declaration.spec import Answer, Decoder, ErrorMap, Frame, Reply
from providers.wire.chat_answers import Tidy, answer_of, choices_of
from providers.wire.openai.stream import stream_of

_HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_APPENDED = frozenset({"content", "reasoning_content", "refusal"})
_PIECE = 64 * 1024  # bytes


def collected_answer(reply: Reply, errors: ErrorMap, tidy: Tidy | None = None) -> Answer:
    """Read the answer of a chat that was streamed to its end; `reply.body` contains the whole
    stream.

    Raises:
        ProviderError: if the stream contains an error or broke off.
    """
    return collected(stream_of(reply, errors, tidy), reply.body)


def collected(decoder: Decoder, body: bytes) -> Answer:
    """Read a whole stream.

    Raises:
        ProviderError: if it contains an error or broke off.
    """
    answer = answer_of(whole_body(orjson.loads(frame.data) for frame in _frames(decoder, body)))
    # As the provider reported it: what clients see is completed.
    answer.usage = decoder.usage or answer.usage
    return answer


def _frames(decoder: Decoder, body: bytes) -> Iterator[Frame]:
    """Decode piece by piece, so that other threads can run in between."""
    for start in range(0, len(body), _PIECE):
        yield from decoder.feed(body[start : start + _PIECE])
        if getattr(decoder, "failed", False):
            break
    yield from decoder.finish()


def whole_body(chunks: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge chunks into one chat answer."""
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        body = body or {name: chunk[name] for name in _HEAD if name in chunk}
        if chunk.get("usage"):
            body["usage"] = chunk["usage"]
        for choice in choices_of(chunk):
            index = choice.get("index") or 0
            _extend_choice(choices.setdefault(index, _new_choice(index)), choice)
    body["object"] = "chat.completion"
    body["choices"] = [_joined(choices[index]) for index in sorted(choices)]
    return body


class _Text(list[str]):
    """The pieces of a text. Adding each to the whole would take quadratic time."""


def _new_choice(index: int) -> dict[str, Any]:
    return {
        "index": index,
        "message": {"role": "assistant", "content": None},
        "logprobs": None,
        "finish_reason": None,
    }


def _extend_choice(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
    if piece.get("logprobs"):
        choice["logprobs"] = choice["logprobs"] or {}
        _extend(choice["logprobs"], piece["logprobs"])
    delta = dict(piece.get("delta") or {})
    calls = delta.pop("tool_calls", None)
    _extend(choice["message"], delta)
    for number, call in enumerate(calls or ()):
        _extend_calls(choice["message"].setdefault("tool_calls", []), call, number)


def _extend(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Append texts and lists; replace everything else by the latest value."""
    for name, value in piece.items():
        if value is None:
            whole.setdefault(name, None)
        elif isinstance(value, list) or name in _APPENDED:
            if whole.get(name) is None:
                whole[name] = [] if isinstance(value, list) else _Text()
            whole[name] += value if isinstance(value, list) else [value]
        else:
            whole[name] = value


def _extend_calls(calls: list[dict[str, Any]], piece: dict[str, Any], number: int) -> None:
    index = number if piece.get("index") is None else piece["index"]
    while len(calls) <= index < 1024:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": _Text()}})
    call, function = calls[index], piece.get("function") or {}
    call["id"] = call["id"] or piece.get("id") or ""
    call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
    call["function"]["arguments"].append(function.get("arguments") or "")


def _joined(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice["message"]
    for name, value in message.items():
        if isinstance(value, _Text):
            message[name] = "".join(value)
    for call in message.get("tool_calls") or ():
        call["function"]["arguments"] = "".join(call["function"]["arguments"])
    return choice
