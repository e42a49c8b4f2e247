"""OpenAI's Responses as neutral chat answers, whole and streamed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, ErrorMap, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire import usage
from providers.wire.chat_answers import characters_of
from providers.wire.decoding import EventStream, error_in_stream, read_frame
from providers.wire.http import json_or_none
from providers.wire.openai.stream import ReadyAnswer
from providers.wire.repairs.answers import new_id

Item = dict[str, Any]

# Codes of failed responses, in addition to those of all errors. Image errors are the client's.
RESPONSE_CODES: dict[str, Failure] = {
    "bio_policy": Failure.CONTENT_FILTER,
    "misalignment_policy_violation": Failure.CONTENT_FILTER,
    "image_content_policy_violation": Failure.CONTENT_FILTER,
    "data_residency_mismatch": Failure.PERMISSION,
    "vector_store_timeout": Failure.TIMEOUT,
    "invalid_encrypted_content": Failure.BAD_REQUEST,
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        Failure.BAD_REQUEST,
    ),
}
ENDED = ("completed", "incomplete")
ANSWER_FIELDS = ("content", "reasoning_content", "refusal", "tool_calls")
# Type of a call item -> its type in chat completions, and the field that contains its text.
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


def finish_of(response: Item, has_calls: bool) -> str:
    if response.get("status") == "incomplete":
        return (
            "content_filter"
            if _part(response, "incomplete_details").get("reason") == "content_filter"
            else "length"
        )
    return "tool_calls" if has_calls else "stop"


def usage_of(reported: Any) -> tuple[Usage | None, Item | None]:
    """Return neutral usage for the ledger and, if the counts are known, for the client."""
    neutral = usage.usage_of(reported)
    shown = usage.usage_object(neutral)
    if shown is None:
        return neutral, None
    if details := _part(reported, "input_tokens_details"):
        shown["prompt_tokens_details"] = details
    if details := _part(reported, "output_tokens_details"):
        shown["completion_tokens_details"] = details
    return neutral, shown


def answer_of(body: Item) -> Answer:
    """Convert a whole answer.

    Raises:
        ProviderError: if the body is not a response that has ended.
    """
    output = body.get("output")
    if body.get("status") not in ENDED or not isinstance(output, list):
        raise ProviderError(Failure.ERROR, Reason("no_response"), status=200)
    items = [item for item in output if isinstance(item, dict)]
    message, logprobs = message_of(items)
    finish = finish_of(body, "tool_calls" in message)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": finish,
    }
    neutral, shown = usage_of(body.get("usage"))
    answer = {**head_of(body, "chat.completion"), "choices": [choice]} | (
        {"usage": shown} if shown else {}
    )
    return Answer(answer, neutral, finish_reason=finish)


def head_of(response: Item, kind: str) -> Item:
    created = response.get("created_at")
    head = {
        "id": response.get("id") or new_id(),
        "object": kind,
        "created": int(created) if isinstance(created, int | float) else int(time.time()),
        "model": response.get("model") or "",
    }
    if isinstance(response.get("service_tier"), str):
        head["service_tier"] = response["service_tier"]
    return head


def message_of(items: Sequence[Item]) -> tuple[Item, list[Item]]:
    """Return the assistant's message, and the log probabilities of its tokens."""
    parts = [
        part for item in items if item.get("type") == "message" for part in _parts(item, "content")
    ]
    texts = [part for part in parts if part.get("type") == "output_text"]
    refusals = "".join(_string(part, "refusal") for part in parts if part.get("type") == "refusal")
    calls = [call_of(item) for item in items if item.get("type") in CALLS]
    message: Item = {
        "role": "assistant",
        "content": "".join(_string(part, "text") for part in texts),
        "refusal": refusals or None,
    }
    if not texts and (calls or refusals):
        message["content"] = None
    thoughts = [
        _string(part, "text")
        for item in items
        if item.get("type") == "reasoning"
        for part in thoughts_of(item)
    ]
    if thought := "\n\n".join(filter(None, thoughts)):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    if annotations := [
        annotation_of(note) for part in texts for note in _parts(part, "annotations")
    ]:
        message["annotations"] = annotations
    if blocks := blocks_of(items):
        message["provider_blocks"] = blocks
    return message, [logprob_of(entry) for part in texts for entry in _parts(part, "logprobs")]


def thoughts_of(item: Item) -> list[Item]:
    return [*_parts(item, "summary"), *_parts(item, "content")]


def call_of(item: Item) -> Item:
    identity = _string(item, "call_id") or _string(item, "id") or "call_0"
    kind, text = CALLS[item["type"]]
    return {
        "id": identity,
        "type": kind,
        kind: {"name": _string(item, "name"), text: _string(item, text)},
    }


def annotation_of(note: Item) -> Item:
    """Nest a citation's fields under its type, as chat completions does."""
    kind = str(note.get("type"))
    return {"type": kind, kind: {name: value for name, value in note.items() if name != "type"}}


def logprob_of(entry: Item) -> Item:
    return {"bytes": None, "top_logprobs": [], **entry}


def blocks_of(items: Sequence[Item]) -> list[Item]:
    """Return what the next turn needs: the reasoning as it came, and the order of texts and calls.

    Returns:
        [] if the answer contains no reasoning and no phase.
    """
    blocks: list[Item] = []
    for item in items:
        kind = item.get("type")
        if kind == "reasoning" and isinstance(item.get("encrypted_content"), str):
            blocks.append(item)
        elif kind == "message":
            blocks.append(
                {"type": "message", "phase": item["phase"]}
                if isinstance(item.get("phase"), str)
                else {"type": "message"}
            )
        elif kind in CALLS:
            blocks.append({"type": "call", "call_id": call_of(item)["id"]})
    return (
        blocks if any(block["type"] == "reasoning" or "phase" in block for block in blocks) else []
    )


def _string(holder: Item, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _part(holder: Item, name: str) -> Item:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _parts(holder: Item, name: str) -> list[Item]:
    value = holder.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


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
        self._thought: tuple[Any, ...] | None = None  # part of the reasoning that was sent last
        self._has_answered = False

    def _decode(self, events: Sequence[tuple[bytes, bytes]], frames: list[Frame]) -> None:
        for _name, data in events:
            event = read_frame(data)
            if event is not None:
                frames += self._event(event)
            if self.done:
                break

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
                return self._arguments(event.get("output_index"), _string(event, "delta"))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._reasoning(event)
            case "response.refusal.delta":
                return self._piece({"refusal": _string(event, "delta")})
            case "response.output_text.annotation.added":
                return self._piece({"annotations": [annotation_of(_part(event, "annotation"))]})
            case "response.output_item.added":
                return self._added(_part(event, "item"), event.get("output_index"))
            case "response.output_item.done":
                return self._item_done(_part(event, "item"), event.get("output_index"))
            case "response.created":
                return self._start(_part(event, "response"))
            case "response.completed" | "response.incomplete":
                return self._end(_part(event, "response"))
            case "response.failed" | "response.cancelled":
                raise self._failed(
                    _part(event, "response").get("error")
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
        text = _string(event, "delta")
        if not text:
            return ()
        start = () if self._head else self._start({})
        if entries := _parts(event, "logprobs"):
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
        return self._piece({"reasoning_content": gap + _string(event, "delta")})

    def _added(self, item: Item, position: Any) -> Sequence[Frame]:
        """Send the first piece of a call: its id and name."""
        if item.get("type") not in CALLS or position in self._calls:
            return ()
        call = {"index": len(self._calls), **call_of(item)}
        self._calls[position] = call
        _kind, field = CALLS[item["type"]]
        if item.get(field):
            self._with_arguments.add(position)
        return self._piece({"tool_calls": [call]})

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
            frames += self._arguments(position, _string(item, CALLS[item["type"]][1]))
        return frames

    def _end(self, response: Item) -> Sequence[Frame]:
        frames = [*self._start(response), *self._unsent(response)]
        if blocks := blocks_of(self._items or _parts(response, "output")):
            frames.append(self._frame({"provider_blocks": blocks}))
        self.finish_reason = finish_of(response, bool(self._calls))
        frames.append(self._frame({}, finish=self.finish_reason))
        self.usage, shown = usage_of(response.get("usage"))
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
        message, _logprobs = message_of(_parts(response, "output"))
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
