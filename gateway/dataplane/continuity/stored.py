"""Responses as the store keeps them: with the conversation that led to each. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeGuard

from gateway.dataplane.doors.openai_responses.kept import MARK
from providers.wire.repairs import exact_json
from tenants.crypto.keys import Seal

Item = dict[str, Any]
KEY_LENGTH: Final = 160  # characters of a response's id
MOST_DATA: Final = 8 * 1024 * 1024  # bytes of JSON
_MOST_STORED: Final = 1024 * 1024  # bytes, compressed
_PREFIXES: Final = {"message": "msg", "reasoning": "rs"}
_ENDS: Final = (b"response.completed", b"response.incomplete")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response.

    Attributes:
        input: All items before it, those of earlier responses too.
        at_provider: The ID of the credential that made it, if its provider stores it as well, so
            that it knows the id; True if the credential has no row of its own.
        is_partial: Whether `input` lacks what only the provider stores.
    """

    response: Item
    input: list[Item]
    provider: str
    model: str
    at_provider: str | bool
    is_partial: bool

    @property
    def items(self) -> list[Item]:
        """The conversation up to and with this response."""
        output = self.response.get("output")
        listed = output if isinstance(output, list) else ()
        short = (_with_short_id(item, self.response["id"], n) for n, item in enumerate(listed))
        return [*self.input, *(item for item in short if item is not None)]


def is_key(value: Any) -> TypeGuard[str]:
    """Tell whether the store can have a response under an id, which its provider may have made."""
    is_text = isinstance(value, str) and value.isascii() and value.isprintable()
    return is_text and 0 < len(value) <= KEY_LENGTH


def packed(stored: StoredResponse, seal: Seal) -> tuple[str, str] | None:
    """Return the key and the token of a response; None if it is too long to be kept."""
    key = stored.response.get("id")
    if not is_key(key):
        return None
    data = exact_json.dumps([getattr(stored, field.name) for field in fields(stored)])
    if len(data) > MOST_DATA:
        return None
    small = zlib.compress(data, 1)
    return None if len(small) > _MOST_STORED else (key, seal.seal(small, _context(key)))


def unpacked(key: str, token: str, seal: Seal) -> StoredResponse | None:
    """Return what a token holds; None if it is damaged or another's."""
    data = seal.open(token, _context(key))
    return None if data is None else StoredResponse(*exact_json.loads(zlib.decompress(data)))


def response_in(content: bytes) -> Item | None:
    """Return the response of a whole answer, or of the events that end a stream."""
    if content.startswith(b"{"):
        body = exact_json.loads(content)
        return body if isinstance(body, dict) else None
    for event in reversed(content.split(b"\n\n")):
        if any(end in event for end in _ENDS):
            data = exact_json.loads(event[event.index(b"{") :])
            response = data.get("response")
            return response if isinstance(response, dict) else None
    return None


def items_of(given: Any, unique_id: str) -> list[Item]:
    """Return the input of a request as items, each with an id."""
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        given = [{"type": "message", "role": "user", "content": content}]
    return [
        {"id": _id_of(item, f"{unique_id}_in", number), "type": "message", **_present(item)}
        for number, item in enumerate(given or ())
    ]


def _with_short_id(item: Item, response_id: str, number: int) -> Item | None:
    """Return an item without the copy that its id may carry; None if it was nothing else."""
    if not str(item.get("id")).partition("_")[2].startswith(MARK):
        return item
    if item.get("type") == "reasoning" and not any(
        item.get(name) for name in ("summary", "content", "encrypted_content")
    ):
        return None
    return {**item, "id": _id_of(item, response_id.removeprefix("resp_"), number)}


def _present(item: Item) -> Item:
    return {name: value for name, value in item.items() if name != "id" or value}


def _id_of(item: Mapping[str, Any], unique_id: str, number: int) -> str:
    prefix = _PREFIXES.get(str(item.get("type") or "message"), "fc")
    return f"{prefix}_{unique_id}_{number}"


def _context(key: str) -> bytes:
    return b"response:" + key.encode()
