"""Ids of tool calls that carry a provider's reasoning: what clients send back unchanged. Pure.

    in the id:     call_mk1s + token of {call id, thought}, LONGEST characters at most
    in the store:  call_mk1r + 23 characters, under which the token's row is found

Clients return ids of 615 characters, and one cuts them at 40: a key of the store is 32 long. Each
id has the provider's own, which it gets back.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from providers.wire.repairs import exact_json
from tenants.crypto.keys import Seal

MARK: Final = "call_mk1"  # with the version of what follows
LONGEST: Final = 512  # characters of an id
KEY_LENGTH: Final = 32  # characters that find a row
_MOST_STORED: Final = 192 * 1024  # bytes in a row
_SEALED, _STORED = f"{MARK}s", f"{MARK}r"
_WHOLE_STRING: Final = re.compile(rb'"(%b[rs][A-Za-z0-9_-]{0,600})"' % MARK.encode())
_SHORTENED: Final = 24  # characters of the digest that stands for an id that does not open
_MOST_DATA: Final = 1024 * 1024  # bytes that a token may hold
_CONTEXT: Final = b"tool-call"
# What most tokens hold: it costs nothing then. Part of the version.
_COMMON: Final = (
    b'"encrypted_content":"gAAAAAB"{"google":{"thought_signature":"'
    b'{"type":"redacted_thinking","data":"{"id":"rs_"type":"reasoning","summary":[],"content":null'
    b'chatcmpl-tool-call_toolu_01["[{"type":"thinking","thinking":"The user I need to ",'
    b'"signature":"'
)


@dataclass(frozen=True, slots=True)
class Thought:
    """What must come back to the provider with a call of a tool.

    Attributes:
        call_id: The provider's own.
        blocks: Of the message's `provider_blocks`: those between the call before and this one.
        text: Of the message's `reasoning_content`.
        extra: The call's own `extra_content`.
        lost: The field whose reasoning was too long to be kept; empty if none was.
    """

    call_id: str
    blocks: Sequence[Any] = ()
    text: str = ""
    extra: Any = None
    lost: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.blocks or self.text or self.extra)


@dataclass(frozen=True, slots=True)
class Row:
    """What the store keeps of an id."""

    key: str
    token: str


def id_of(thought: Thought, seal: Seal, *, stores: bool) -> tuple[str, Row | None]:
    """Return the id that brings a thought back, and the row that it needs.

    Args:
        stores: Whether the workspace has a store.
    """
    data = _packed(thought)
    if data is not None and len(data) < LONGEST:
        identity = _SEALED + seal.seal(data, _CONTEXT)
        if len(identity) <= LONGEST:
            return identity, None
    if stores and data is not None and len(data) <= _MOST_STORED:
        key = _STORED + secrets.token_urlsafe(17)
        return key, Row(key, seal.seal(data, key.encode()))
    field = "provider_blocks" if thought.blocks else "reasoning_content"
    rest = _packed(Thought(thought.call_id, lost=field))
    if rest is None or len(rest) > LONGEST:
        return thought.call_id, None
    identity = _SEALED + seal.seal(rest, _CONTEXT)
    return (identity if len(identity) <= LONGEST else thought.call_id), None


def ids_in(data: bytes) -> frozenset[str]:
    """Return the ids of this kind in a JSON text: strings that are nothing else."""
    if MARK.encode() not in data:
        return frozenset()
    return frozenset(match.decode() for match in _WHOLE_STRING.findall(data))


def with_ids(data: bytes, names: dict[str, str]) -> bytes:
    """Replace such ids in a JSON text."""
    return _WHOLE_STRING.sub(
        lambda match: b'"%b"' % names.get(match[1].decode(), match[1].decode()).encode(), data
    )


def key_in(identity: str) -> str | None:
    """Return the key of the row that an id names; None if it needs none."""
    return identity[:KEY_LENGTH] if identity.startswith(_STORED) else None


def opened(identity: str, seal: Seal) -> Thought | None:
    """Return what an id carries; None if it is cut, forged or another workspace's."""
    if not identity.startswith(_SEALED):
        return None
    return _unpacked(seal.open(identity.removeprefix(_SEALED), _CONTEXT))


def opened_row(key: str, token: str | None, seal: Seal) -> Thought | None:
    """Return what a row holds; None if there is none, or it is damaged."""
    return None if token is None else _unpacked(seal.open(token, key.encode()))


def shortened(identity: str) -> str:
    """Return what stands for an id that does not open: OpenAI accepts 64 characters."""
    return f"call_{hashlib.sha256(identity.encode()).hexdigest()[:_SHORTENED]}"


def _packed(thought: Thought) -> bytes | None:
    """Return what a token holds; None if it is too long."""
    fields = [thought.call_id, thought.blocks, thought.text, thought.extra, thought.lost]
    while not fields[-1]:
        fields.pop()
    data = exact_json.dumps(fields)
    if len(data) > _MOST_DATA:
        return None
    packer = zlib.compressobj(wbits=-15, zdict=_COMMON)
    return packer.compress(data) + packer.flush()


def _unpacked(data: bytes | None) -> Thought | None:
    if data is None:
        return None
    unpacker = zlib.decompressobj(wbits=-15, zdict=_COMMON)
    fields: list[Any] = exact_json.loads(unpacker.decompress(data, _MOST_DATA))
    call_id, blocks, text, extra, lost = fields + [None] * (5 - len(fields))
    return Thought(call_id, blocks or (), text or "", extra, lost or "")
