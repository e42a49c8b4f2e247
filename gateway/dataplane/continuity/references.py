"""Items that requests name by their ids alone, as parts of kept responses. Pure.

An id that was made here tells its response. For a provider's own ids, the store has a row each,
which holds the id of the response.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.dataplane.continuity.stored import KEY_LENGTH, StoredResponse
from gateway.dataplane.doors.openai_responses.answers import response_id
from gateway.dataplane.doors.openai_responses.kept import is_ours
from tenants.crypto.keys import Seal

Item = dict[str, Any]
KIND: Final = "item_reference"
MOST: Final = 64  # items of a response or references of a request; others are not found
_MADE_HERE: Final = re.compile(r"[a-z]+_(.+?)(?:_in)?_[0-9]+")
_ROW: Final = "item:"


def named(body: Mapping[str, Any]) -> list[str]:
    """Return the ids of the items that a request names and that its ids don't carry."""
    given = body.get("input")
    references = [
        item["id"] for item in (given if isinstance(given, list) else ()) if is_reference(item)
    ]
    return list(dict.fromkeys(references))[:MOST]


def is_reference(item: Any) -> bool:
    """Tell whether an item only names another one, which its id does not carry."""
    return (
        isinstance(item, dict)
        and item.get("type") == KIND
        and isinstance(item.get("id"), str)
        and not is_ours(item)
    )


def resolved(given: Any, items: Mapping[str, Item]) -> Any:
    """Return the input of a request with the items that it names."""
    if not items or not isinstance(given, list):
        return given
    return [items.get(item["id"], item) if is_reference(item) else item for item in given]


def response_of(identity: str) -> str | None:
    """Return the id of the response that an item belongs to; None if a provider made its id."""
    match = _MADE_HERE.fullmatch(identity)
    return None if match is None else response_id(match[1])


def row_key(identity: str) -> str:
    return f"{_ROW}{identity}"


def rows(response: Mapping[str, Any], seal: Seal) -> Iterator[tuple[str, str]]:
    """Yield the keys and tokens of the rows that tell the response of its items."""
    output = response.get("output")
    for item in (output if isinstance(output, list) else ())[:MOST]:
        identity = item.get("id") if isinstance(item, dict) else None
        if not isinstance(identity, str) or is_ours(item):
            continue
        key = row_key(identity)
        if len(key) <= KEY_LENGTH and response_of(identity) != response["id"]:
            yield key, seal.seal(response["id"].encode(), key.encode())


def response_in(key: str, token: str, seal: Seal) -> str | None:
    """Return the id of the response that a row holds; None if it is damaged or another's."""
    data = seal.open(token, key.encode())
    return None if data is None else data.decode()


def items_in(stored: StoredResponse) -> dict[str, Item]:
    """Return the items of a response and those that led to it, by their ids."""
    output = stored.response.get("output")
    sent = output if isinstance(output, list) else []
    return {item["id"]: item for item in [*stored.items, *sent] if isinstance(item.get("id"), str)}
