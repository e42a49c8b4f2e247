"""Characters that a server cut: each piece of a stream holds a part of one. Pure.

A part is half a surrogate pair, written as an escape, or some bytes of a character in UTF-8. The
error handler `surrogateescape` reads such a byte as one of U+DC80 to U+DCFF.
"""

from __future__ import annotations

import re
from typing import Any, Final

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_BYTES: Final = re.compile("[\udc80-\udcff]+")
# The beginnings of characters in UTF-8, as escaped bytes at the end of a text.
_BEGUN: Final = re.compile(
    "(?:[\udcc2-\udcdf]"
    "|[\udce0-\udcef][\udc80-\udcbf]?"
    "|[\udcf0-\udcf4][\udc80-\udcbf]{0,2}"
    "|[\ud800-\udbff])\\Z"
)
_LONGEST_PART: Final = 3  # escaped bytes
_MOST_HELD: Final = 64  # texts of one stream that may be cut at the same time

Path = tuple[str | int, ...]


class CutCharacters:
    """Join the parts of characters, also across the pieces of one stream.

    A part at the end of a text is held until the text in the same place of a later piece. A part
    without the others becomes U+FFFD.

    Attributes:
        held: By place; while there is any, the next pieces may begin with the rest of a character.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Path, str] = {}

    def joined(self, value: Any, path: Path = ()) -> Any:
        """Copy a piece's JSON value with its texts repaired."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return {joined(name): self.joined(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [
                self.joined(item, (*path, _index_of(item, number)))
                for number, item in enumerate(value)
            ]
        return value

    def _text(self, text: str, path: Path) -> str:
        if not text:
            return text
        text = self.held.pop(path, "") + text
        if text.isascii():
            return text
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST_PART))
        if begun is not None and len(self.held) < _MOST_HELD:
            self.held[path] = begun[0]
            text = text[: begun.start()]
        return joined(text)


def _index_of(item: Any, number: int) -> int:
    """Return an item's own index, because a piece holds only some items of a list."""
    index = item.get("index") if isinstance(item, dict) else None
    return index if type(index) is int else number


def joined(text: str) -> str:
    """Join the parts of characters in a text, and replace lone ones."""
    if text.isascii():
        return text
    # Pairs come first: the second half of one may look like an escaped byte.
    text = _BYTES.sub(_decoded, _PAIR.sub(_paired, text))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _paired(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _decoded(escaped: re.Match[str]) -> str:
    return escaped[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def text_only(value: Any) -> Any:
    """Copy a JSON value that is complete, with its texts repaired."""
    if isinstance(value, str):
        return joined(value)
    if isinstance(value, dict):
        return {joined(name): text_only(item) for name, item in value.items()}
    if isinstance(value, list):
        return [text_only(item) for item in value]
    return value
