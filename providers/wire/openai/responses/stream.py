"""Streams of OpenAI's Responses as chunks of chat answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.errors import ProviderError
from providers.declaration.spec import ErrorMap, Frame, Reply
from providers.wire.chat_answers import characters_of
from providers.wire.decoding import EventStream, error_in_stream
from providers.wire.http import json_or_none
from providers.wire.openai.responses.answers import (
    ANSWER_FIELDS,
    CALLS,
    Item,
    annotation_of,
    answer_of,
    blocks_of,
    call_of,
    finish_of,
    head_of,
    logprob_of,
    message_of,
    part_in,
    parts_in,
    string_in,
    usage_of,
)
from providers.wire.openai.stream import ReadyAnswer


class ResponseDecoder(EventStream):
    """Convert events to chunks.

    A piece of text costs one JSON decode, and encodes nothing but the text.
    """

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__()
        self._errors = errors
        self._head: Item = {}
        self._text_start = b""
        self._calls: dict[Any, Item] = {}  # output's index -> its call as first sent
        self._with_arguments: set[Any] = set()  # outputs whose arguments have started
        self._items: list[Item] = []  # completed outputs
        self._sent_blocks = 0
        self._thought: tuple[Any, ...] | None = None  # part of the reasoning that was sent last
        self._has_answered = False

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        event = self._parsed(data)
        return () if event is None else self._event(event)

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        response = json_or_none(body)
        if self._error_of(body) is not None or not isinstance(response, dict):
            return super()._whole_body(body)
        return self._answered(ReadyAnswer(answer_of(response)))

    def _error_of(self, body: bytes) -> ProviderError | None:
        return self._errors(Reply(200, {}, body))

    def _event(self, event: Item) -> Sequence[Frame]:
        match event.get("type"):
            case "response.output_text.delta":
                return self._text(event)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return self._arguments(event.get("output_index"), string_in(event, "delta"))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._reasoning(event)
            case "response.refusal.delta":
                return self._piece({"refusal": string_in(event, "delta")})
            case "response.output_text.annotation.added":
                return self._piece({"annotations": [annotation_of(part_in(event, "annotation"))]})
            case "response.output_item.added":
                return self._added(part_in(event, "item"), event.get("output_index"))
            case "response.output_item.done":
                return self._item_done(part_in(event, "item"), event.get("output_index"))
            case "response.created":
                return self._start(part_in(event, "response"))
            case "response.completed" | "response.incomplete":
                return self._end(part_in(event, "response"))
            case "response.failed" | "response.cancelled":
                raise self._failed(
                    part_in(event, "response").get("error")
                    or {"message": "The provider cancelled the answer."}
                )
            case "error":
                raise self._failed(event.get("error") or event)
        return ()  # progress, repeated content, and event types added later

    def _failed(self, error: Any) -> ProviderError:
        details = error if isinstance(error, dict) else {"message": str(error)}
        body = {"error": {name: details.get(name) for name in ("message", "code", "param")}}
        return error_in_stream(self._errors, orjson.dumps(body))

    def _start(self, response: Item) -> Sequence[Frame]:
        if self._head:
            return ()
        self._head = head_of(response, "chat.completion.chunk")
        self._text_start = (
            orjson.dumps(self._head)[:-1] + b',"choices":[{"index":0,"delta":{"content":'
        )
        return [self._frame({"role": "assistant", "content": ""})]

    def _text(self, event: Item) -> Sequence[Frame]:
        text = string_in(event, "delta")
        if not text:
            return ()
        start = () if self._head else self._start({})
        if entries := parts_in(event, "logprobs"):
            logprobs = {"content": [logprob_of(entry) for entry in entries], "refusal": None}
            return [*start, *self._piece({"content": text}, logprobs)]
        self.output_characters += len(text)
        self._has_answered = True
        return [
            *start,
            Frame(
                self._text_start
                + orjson.dumps(text)
                + b'},"logprobs":null,"finish_reason":null}]}',
                True,
            ),
        ]

    def _reasoning(self, event: Item) -> Sequence[Frame]:
        """Separate the parts of the reasoning by an empty line."""
        part = tuple(
            event.get(name) for name in ("type", "output_index", "summary_index", "content_index")
        )
        gap = "" if self._thought in (None, part) else "\n\n"
        self._thought = part
        return self._piece({"reasoning_content": gap + string_in(event, "delta")})

    def _added(self, item: Item, position: Any) -> Sequence[Frame]:
        """Send the first piece of a call: its id and name."""
        if item.get("type") not in CALLS or position in self._calls:
            return ()
        call = {"index": len(self._calls), **call_of(item)}
        self._calls[position] = call
        _kind, field = CALLS[item["type"]]
        if item.get(field):
            self._with_arguments.add(position)
        return [*self._new_blocks(self._items), *self._piece({"tool_calls": [call]})]

    def _new_blocks(self, items: Sequence[Item]) -> Sequence[Frame]:
        """Send what the next turn needs, so far: before a call that it led to."""
        blocks = blocks_of(items)[self._sent_blocks :]
        self._sent_blocks += len(blocks)
        return [*self._start({}), self._frame({"provider_blocks": blocks})] if blocks else ()

    def _arguments(self, position: Any, text: str) -> Sequence[Frame]:
        call = self._calls.get(position)
        if not text or call is None:
            return ()
        self._with_arguments.add(position)
        field = "input" if call["type"] == "custom" else "arguments"
        return self._piece({"tool_calls": [{"index": call["index"], call["type"]: {field: text}}]})

    def _item_done(self, item: Item, position: Any) -> Sequence[Frame]:
        """Record the completed item, and send the parts of a call that were not streamed."""
        self._items.append(item)
        frames = list(self._added(item, position))
        if item.get("type") in CALLS and position not in self._with_arguments:
            frames += self._arguments(position, string_in(item, CALLS[item["type"]][1]))
        return frames

    def _end(self, response: Item) -> Sequence[Frame]:
        frames = [
            *self._start(response),
            *self._new_blocks(self._items or parts_in(response, "output")),
            *self._unsent(response),
        ]
        self.finish_reason = finish_of(response, bool(self._calls))
        frames.append(self._frame({}, finish=self.finish_reason))
        self.usage, shown = usage_of(response)
        if shown:
            frames.append(
                Frame(orjson.dumps({**self._head, "choices": [], "usage": shown}), usage_only=True)
            )
        self.done = True
        return frames

    def _unsent(self, response: Item) -> Sequence[Frame]:
        """Send the whole answer of a server that did not stream it."""
        if self._has_answered:
            return ()
        message, _logprobs = message_of(parts_in(response, "output"))
        self._calls = {
            number: {"index": number, **call}
            for number, call in enumerate(message.pop("tool_calls", ()))
        }
        if self._calls:
            message["tool_calls"] = list(self._calls.values())
        for name in ("role", "provider_blocks"):
            message.pop(name, None)
        return self._piece(message) if any(message.get(name) for name in ANSWER_FIELDS) else ()

    def _piece(self, delta: Item, logprobs: Any = None) -> Sequence[Frame]:
        start = self._start({})
        self._has_answered = True
        self.output_characters += characters_of(delta)
        return [*start, self._frame(delta, logprobs=logprobs, content=True)]

    def _frame(
        self, delta: Item, *, finish: str | None = None, logprobs: Any = None, content: bool = False
    ) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content)
