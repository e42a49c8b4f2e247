"""Answers of the fake provider in OpenAI's Responses format, below /native/ only: elsewhere it is a
server that does not have it.
"""

from __future__ import annotations

import json
from typing import Any

PATH = "/native/v1/responses"
HEAD = {"id": "resp_fake", "object": "response", "created_at": 1790000000, "model": "m"}


def _usage(pieces: int) -> dict[str, Any]:
    return {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": pieces,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 9 + pieces,
    }


def _message(text: str, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    content = [part] if status == "completed" else []
    head = {"type": "message", "id": "msg_fake", "role": "assistant"}
    return {**head, "status": status, "content": content}


def response(text: str, pieces: int = 7) -> dict[str, Any]:
    output = [_message(text, "completed")]
    return {**HEAD, "status": "completed", "output": output, "usage": _usage(pieces)}


def events(pieces: int) -> list[bytes]:
    """The events of a stream, without the blank lines after them."""
    words = [f"word{number} " for number in range(pieces)]
    text = "".join(words)
    where = {"item_id": "msg_fake", "output_index": 0}
    place = {**where, "content_index": 0}
    begun = {**HEAD, "status": "in_progress", "output": [], "usage": None}
    added, done = _message("", "in_progress"), _message(text, "completed")
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": added},
        {"type": "response.content_part.added", **place, "part": empty},
        *(
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
            for word in words
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": done["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": response(text, pieces)},
    ]
    return [
        b"event: %b\ndata: %b"
        % (
            event["type"].encode(),
            json.dumps({**event, "sequence_number": number}, separators=(",", ":")).encode(),
        )
        for number, event in enumerate(told)
    ]
