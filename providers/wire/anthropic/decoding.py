"""Anthropic's messages as neutral chat answers, whole and streamed; its errors and model
list.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, ErrorMap, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire import usage
from providers.wire.decoding import EventStream, broken_off, error_event, error_in_stream
from providers.wire.http import json_or_none
from providers.wire.openai.stream import ReadyAnswer
from providers.wire.repairs.answers import as_list, complete_head, repair_answer
from providers.wire.repairs.messages import arguments_text, own_id, text_of

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TEXT_END = b'},"logprobs":null,"finish_reason":null}]}'
THINKING = ("thinking", "redacted_thinking")


def without_output(reported: Any) -> Any:
    if not isinstance(reported, dict):
        return None
    return {name: value for name, value in reported.items() if name != "output_tokens"}


def finish_of(stop_reason: Any) -> str:
    return FINISH.get(stop_reason, "stop")


def usage_of(reported: Any) -> Usage | None:
    """Return neutral usage. Anthropic's input_tokens exclude cached tokens; ours include them."""
    neutral = usage.usage_of(reported)
    if neutral is not None and neutral.prompt_tokens is not None:
        neutral.cached_tokens = neutral.cached_tokens or 0
    return neutral


def _shown(neutral: Usage | None) -> dict[str, Any] | None:
    """Return usage for the client, or None if it is unknown."""
    shown = usage.usage_object(neutral)
    if shown is None or neutral is None:
        return None
    shown["prompt_tokens_details"] = {
        "cached_tokens": neutral.cached_tokens or 0,
        "cache_write_tokens": neutral.cache_write_tokens or 0,
    }
    if neutral.reasoning_tokens is not None:
        shown["completion_tokens_details"] = {"reasoning_tokens": neutral.reasoning_tokens}
    return shown


def answer_of(body: dict[str, Any]) -> Answer:
    """Convert a whole answer.

    Raises:
        ProviderError: if the body is not a message.
    """
    if not is_message(body):
        raise ProviderError(Failure.ERROR, Reason("no_message"), status=200)
    content = body["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else as_list(content)
    neutral = usage_of(body.get("usage"))
    shown = _shown(neutral)
    finish = finish_of(body.get("stop_reason"))
    choice = {
        "index": 0,
        "message": message_of([block for block in blocks if isinstance(block, dict)]),
        "logprobs": None,
        "finish_reason": finish,
    }
    head = {
        "id": body.get("id"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model"),
    }
    answer = {**head, "choices": [choice]} | ({"usage": shown} if shown else {})
    complete_head(answer, "chat.completion")
    repair_answer(answer)
    return Answer(answer, neutral, finish_reason=finish)


def is_message(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and body.get("type") in ("message", None)
        and isinstance(body.get("content", 0), str | list | None)
    )


def message_of(blocks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    texts = [text_of(block.get("text")) for block in blocks if block.get("type") == "text"]
    thoughts = [
        text_of(block.get("thinking")) for block in blocks if block.get("type") == "thinking"
    ]
    calls = [tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None if calls else "",
        "refusal": None,
    }
    if "".join(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    if replay := [block for block in blocks if block.get("type") in THINKING]:
        message["provider_blocks"] = replay
    return message


def tool_call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = arguments_text(block.get("input") or {})
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }


class MessageDecoder(EventStream):
    """Convert Anthropic's events to chunks.

    Pieces of plain text are neither decoded nor encoded.
    """

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__()
        self._errors = errors
        self._head: dict[str, Any] = {
            "id": "msg",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "",
        }
        self._text_start = self._start_of_text()
        self._tools: dict[int, int] = {}  # block's index -> tool's index
        self._calls = 0
        self._ids: set[str] = set()  # of calls, as clients see them
        self._pending: dict[int, str] = {}  # tool blocks whose input has not been streamed
        self._thoughts: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}  # of a thought's text, joined at its end

    def _unended(self) -> Sequence[Frame]:
        if self.finish_reason is None:
            raise broken_off()
        return self._end()

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        event = self._parsed(data)
        if name == b"error":
            raise error_event(self._errors, data)
        if event is None:
            return ()
        event.setdefault("type", name.decode(errors="replace"))
        return self._event(event, data)

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        message = json_or_none(body)
        if not is_message(message):
            return super()._whole_body(body)
        return self._answered(ReadyAnswer(answer_of(message)))

    def _error_of(self, body: bytes) -> ProviderError | None:
        return self._errors(Reply(200, {}, body))

    def _event(self, event: dict[str, Any], data: bytes) -> Sequence[Frame]:
        match event.get("type"):
            case "content_block_delta":
                return self._delta(_part(event, "delta"), event.get("index", 0), data)
            case "message_start":
                return self._start(_part(event, "message"))
            case "content_block_start":
                return self._block_start(_part(event, "content_block"), event.get("index", 0))
            case "content_block_stop":
                return self._block_stop(event.get("index", 0))
            case "message_delta":
                self.note_usage(event.get("usage"))
                if stop := _part(event, "delta").get("stop_reason"):
                    self.finish_reason = finish_of(stop)
            case "message_stop":
                return self._end()
            case "error":
                raise error_in_stream(self._errors, data)
        return ()  # pings, and event types added later

    def _start(self, message: dict[str, Any]) -> Sequence[Frame]:
        self._head |= {"id": message.get("id") or "msg", "model": message.get("model") or ""}
        complete_head(self._head, "chat.completion.chunk")
        self._text_start = self._start_of_text()
        # Its output_tokens only stand for the first token: message_delta has the real number.
        self.note_usage(without_output(message.get("usage")))
        return [self._frame({"role": "assistant", "content": ""})]

    def _start_of_text(self) -> bytes:
        return orjson.dumps(self._head)[:-1] + b',"choices":[{"index":0,"delta":{"content":'

    def note_usage(self, reported: Any) -> None:
        super().note_usage(reported)
        self.usage = usage_of(self._reported)

    def _delta(self, delta: dict[str, Any], index: int, data: bytes) -> Sequence[Frame]:
        match delta.get("type"):
            case "text_delta":
                return self._text(text_of(delta.get("text")), data)
            case "thinking_delta":
                thought = text_of(delta.get("thinking"))
                if index in self._pieces:
                    self._pieces[index].append(thought)
                return self._piece({"reasoning_content": thought}, len(thought))
            case "signature_delta":
                if index in self._thoughts:
                    self._thoughts[index]["signature"] = delta.get("signature")
            case "input_json_delta":
                piece = delta.get("partial_json") or ""
                if piece and index in self._tools:
                    if self._pending.pop(index, None) is not None or not isinstance(piece, str):
                        piece = arguments_text(piece)  # alone, null is no object
                    return self._piece(
                        {
                            "tool_calls": [
                                {"index": self._tools[index], "function": {"arguments": piece}}
                            ]
                        },
                        len(piece),
                    )
        return ()

    def _text(self, text: str, data: bytes = b"") -> Sequence[Frame]:
        if not text:
            return ()
        self.output_characters += len(text)
        sent = self._text_start + orjson.dumps(text) + _TEXT_END
        self._plain.learn(data, sent, text)
        return [Frame(sent, True)]

    def _block_start(self, block: dict[str, Any], index: int) -> Sequence[Frame]:
        match block.get("type"):
            case "tool_use":
                self._tools[index] = self._calls
                self._calls += 1
                self._pending[index] = arguments_text(block.get("input") or {})
                name = text_of(block.get("name"))
                call = {
                    "index": self._tools[index],
                    "id": own_id(block.get("id"), self._ids),
                    "type": "function",
                    "function": {"name": name, "arguments": ""},
                }
                return self._piece({"tool_calls": [call]}, len(name))
            case "thinking" | "redacted_thinking":
                self._thoughts[index] = dict(block)
                if block["type"] == "thinking":
                    self._pieces[index] = [thought := text_of(block.get("thinking"))]
                    if thought:
                        return self._piece({"reasoning_content": thought}, len(thought))
            case "text":
                return self._text(text_of(block.get("text")))
        return ()

    def _block_stop(self, index: int) -> Sequence[Frame]:
        if index in self._pending:  # no piece of input came: "" means {}
            arguments = self._pending.pop(index)
            return self._piece(
                {
                    "tool_calls": [
                        {"index": self._tools[index], "function": {"arguments": arguments}}
                    ]
                },
                len(arguments),
            )
        if index in self._thoughts:
            thought = self._thoughts.pop(index)
            if pieces := self._pieces.pop(index, None):
                thought["thinking"] = "".join(pieces)
            return [self._frame({"provider_blocks": [thought]})]
        return ()

    def _end(self) -> list[Frame]:
        self.done = True
        self.finish_reason = self.finish_reason or "stop"
        frames = [frame for index in list(self._pending) for frame in self._block_stop(index)]
        frames.append(self._frame({}, finish=self.finish_reason))
        if shown := _shown(self.usage):
            frames.append(
                Frame(orjson.dumps({**self._head, "choices": [], "usage": shown}), usage_only=True)
            )
        return frames

    def _piece(self, delta: dict[str, Any], characters: int) -> Sequence[Frame]:
        self.output_characters += characters
        return [self._frame(delta, content=True)]

    def _frame(
        self, delta: dict[str, Any], *, finish: str | None = None, content: bool = False
    ) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content)


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}
