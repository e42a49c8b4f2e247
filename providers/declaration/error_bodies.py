"""Bounds on what an error map reads: a provider's text may be long, and made to be slow. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from core import long_json

if TYPE_CHECKING:
    from providers.declaration.errors import ProviderError
    from providers.declaration.spec import ErrorMap, Reply

MAX_ERROR_BODY: Final = 64 * 1024  # bytes of an error's body; the rest is not read
LONGEST_TEXT: Final = 4000  # characters of one text
_MOST_MEMBERS: Final = 100  # of one object
_MOST_ITEMS: Final = 16  # of one list
_DEPTH: Final = 8
# A string, complete or cut off at the end of the text, or a bracket.
_TOKEN: Final = re.compile(r'"(?:[^"\\]+|\\(?:u[0-9a-fA-F]{4}|[^u]))*+("?)|[\[\]{}]')


class BoundedErrors:
    """An ErrorMap that is shown a short form of every reply, so that its patterns stay fast."""

    __slots__ = ("_errors",)

    def __init__(self, errors: ErrorMap) -> None:
        self._errors = errors

    def __call__(self, reply: Reply) -> ProviderError | None:
        return self._errors(shortened(reply))


def bounded(errors: ErrorMap) -> ErrorMap:
    """Wrap an error map, unless it is wrapped already."""
    return errors if isinstance(errors, BoundedErrors) else BoundedErrors(errors)


def shortened(reply: Reply) -> Reply:
    """Return a reply whose texts are at most LONGEST_TEXT long and whose lists are cut.

    What is not JSON is cut as a text. A JSON body that was cut off is completed, because its
    message usually comes first.
    """
    body = reply.body
    if len(body) <= LONGEST_TEXT:
        return reply
    if reply.status >= 400:
        body = body[:MAX_ERROR_BODY]
    value = _value_of(body, cut=reply.status >= 400)
    try:
        body = body[:LONGEST_TEXT] if value is None else orjson.dumps(_short(value, _DEPTH))
    except TypeError:  # half a surrogate pair, or a number that takes more than 64 bits
        body = body[:LONGEST_TEXT]
    return replace(reply, body=body)


def _value_of(body: bytes, *, cut: bool) -> Any:
    try:
        return long_json.loads(long_json.without_vectors(body)[0])
    except ValueError:
        pass
    try:
        return orjson.loads(_completed(str(body, "utf-8", "ignore"))) if cut else None
    except orjson.JSONDecodeError:
        return None


def _completed(text: str) -> str:
    """Close the string, lists and objects that are open at the end of a text."""
    closing: list[str] = []
    quote = ""
    for token in _TOKEN.finditer(text):
        mark = token[0][0]
        if mark in "[{":
            closing.append("]" if mark == "[" else "}")
        elif mark in "]}":
            del closing[-1:]
        elif not token[1]:
            # Half an escape may follow; then nothing else does.
            text, quote = text[: token.end()], '"'
            break
    return text + quote + "".join(reversed(closing))


def _short(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return None
    if isinstance(value, list):
        return [_short(item, depth - 1) for item in value[:_MOST_ITEMS]]
    members = list(value.items())[:_MOST_MEMBERS]
    return {name[:LONGEST_TEXT]: _short(item, depth - 1) for name, item in members}
