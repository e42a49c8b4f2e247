"""Events of OpenAI's Responses format as bytes, numbered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.dataplane.errors import Refusal

# Codes by which clients know what to do, where ours differ from OpenAI's.
_CODES: Final = {
    "provider_out_of_funds": "insufficient_quota",
    "provider_overloaded": "server_is_overloaded",
    "provider_rate_limited": "rate_limit_exceeded",
    "trial_exhausted": "insufficient_quota",
}


class Numbered:
    """Collects events and gives each the next number."""

    __slots__ = ("_events", "_number")

    def __init__(self, number: int = 0) -> None:
        self._events: list[bytes] = []
        self._number = number

    def add(self, name: str, fields: Mapping[str, Any]) -> None:
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        self._events.append(b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(event)))

    def add_piece(self, start: bytes, text: bytes, end: bytes) -> None:
        """Add an event whose JSON but its number and a text is written already."""
        self._events.append(b'%b%d,"delta":%b%b' % (start, self._number, text, end))
        self._number += 1

    def failure(self, refusal: Refusal, response: Mapping[str, Any]) -> bytes:
        """Return the events of an error, which no other follows."""
        code, message = code_of(refusal), refusal.message
        told = {"code": code, "message": message, "param": refusal.param}
        # Beside what OpenAI documents stands what it sends.
        self.add("error", {**told, "error": {"type": refusal.type, **told}})
        error = {"code": code, "message": message}
        self.add("response.failed", {"response": {**response, "status": "failed", "error": error}})
        return self.taken()

    def taken(self) -> bytes:
        """Return the events since the last time."""
        events = b"".join(self._events)
        self._events.clear()
        return events


def piece_start(name: str, fields: Mapping[str, Any]) -> bytes:
    """Return what comes before the number of events that differ in a text only."""
    begun = orjson.dumps({"type": name, **fields})[:-1]
    return b"event: %b\ndata: %b" % (name.encode(), begun) + b',"sequence_number":'


def code_of(refusal: Refusal) -> str:
    return _CODES.get(refusal.code, refusal.code)
