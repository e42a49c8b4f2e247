"""A request's body as its client sent it, with the provider's name of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from providers.wire.repairs import exact_json

_STRING: Final = rb'"((?:[^"\\]|\\.)*)"'
_MODEL: Final = re.compile(rb'"model"\s*:\s*' + _STRING)
_ESCAPED_LETTER: Final = b"\\u006"  # as the name could be written
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\],:]")


def with_model(data: bytes, body: Mapping[str, Any], model: str) -> bytes:
    """Return the body with the provider's name of the model and nothing else changed.

    Args:
        body: What `data` holds.
    """
    place = _model_in(data)
    if place is None or orjson.loads(data[slice(*place)]) != body.get("model"):
        return exact_json.dumps({**body, "model": model})
    return data[: place[0]] + orjson.dumps(model) + data[place[1] :]


def _model_in(data: bytes) -> tuple[int, int] | None:
    """Return where the value of the top level's `model` begins and ends."""
    found = list(_MODEL.finditer(data))
    if len(found) > 1 or _ESCAPED_LETTER in data:
        starts = _top_level(data)
        found = [match for match in found if match.start() in starts]
    return (found[0].start(1) - 1, found[0].end()) if len(found) == 1 else None


def _top_level(data: bytes) -> set[int]:
    """Return where the texts of the outermost object begin."""
    depth, starts = 0, set()
    for token in _TOKEN.finditer(data):
        first = token[0][:1]
        if first == b'"':
            if depth == 1:
                starts.add(token.start())
        elif first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
    return starts
