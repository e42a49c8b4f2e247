"""What clients keep of an answer for the next turn: sealed in ids and in encrypted reasoning.

An id that is known only after its item can carry the item: a client that sends back nothing but
ids still sends the conversation. In a stream, ids come first; its last item carries all others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from tenants.crypto.keys import Seal

Item = dict[str, Any]
MARK: Final = "mk1_"  # begins what is sealed here
LONGEST: Final = 32 * 1024  # characters of a token; a longer conversation is not kept in ids
_MOST_DATA: Final = 1024 * 1024  # bytes that a token may open to
_ITSELF: Final = ""  # the key of the item that has the id


def sealed(value: Any, seal: Seal) -> str | None:
    """Return the token of a JSON value; None if it is too long to be kept by a client."""
    data = orjson.dumps(value)
    if len(data) > _MOST_DATA:
        return None
    token = MARK + seal.seal(zlib.compress(data, 1))
    return token if len(token) <= LONGEST else None


def opened(token: Any, seal: Seal) -> Any:
    """Return what a token of this workspace holds; None for any other text."""
    if not isinstance(token, str) or not token.startswith(MARK) or len(token) > LONGEST:
        return None
    data = seal.open(token.removeprefix(MARK))
    return None if data is None else orjson.loads(zlib.decompress(data))


def with_sealed_id(item: Item, seal: Seal) -> Item:
    """Return an item whose id carries it, or the item itself if it is too long."""
    token = sealed({_ITSELF: _without_id(item)}, seal)
    return item if token is None else {**item, "id": f"{_prefix(item)}_{token}"}


def carrier_of(items: Iterable[Item], seal: Seal) -> Item | None:
    """Return a reasoning item whose id carries others; None if they are too long."""
    token = sealed({item["id"]: _without_id(item) for item in items}, seal)
    return None if token is None else {"type": "reasoning", "id": f"rs_{token}", "summary": []}


def carried_by(identity: Any, seal: Seal) -> Mapping[str, Item]:
    """Return the items that an id carries, by their ids."""
    token = identity.partition("_")[2] if isinstance(identity, str) else None
    items = opened(token, seal)
    if not isinstance(items, dict):
        return {}
    return {key if key != _ITSELF else str(identity): item for key, item in items.items()}


def is_ours(item: Any) -> bool:
    """Tell whether an input item holds something that only this product can open."""
    if not isinstance(item, dict):
        return False
    identity, encrypted = item.get("id"), item.get("encrypted_content")
    return (isinstance(encrypted, str) and encrypted.startswith(MARK)) or (
        isinstance(identity, str) and identity.partition("_")[2].startswith(MARK)
    )


def _without_id(item: Item) -> Item:
    return {name: value for name, value in item.items() if name != "id"}


def _prefix(item: Item) -> str:
    return {"message": "msg", "reasoning": "rs"}.get(item["type"], "fc")
