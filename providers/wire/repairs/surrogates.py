"""Surrogate pairs that a server cut: each piece of a stream holds half a character. Pure."""

from __future__ import annotations

from typing import Any, Final

_MOST_HELD: Final = 64  # texts of one stream that may be cut at the same time

Path = tuple[str | int, ...]


class SurrogatePairs:
    """Join the halves of surrogate pairs, also across the pieces of one stream.

    A half at the end of a text is held until the text in the same place of a later piece. A half
    without its other one becomes U+FFFD.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Path, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Tell whether the next pieces may begin with the other half."""
        return bool(self._held)

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
        text = self._held.pop(path, "") + text
        if "\ud800" <= text[-1] <= "\udbff" and len(self._held) < _MOST_HELD:
            self._held[path] = text[-1]
            text = text[:-1]
        return joined(text)


def _index_of(item: Any, number: int) -> int:
    """Return an item's own index, because a piece holds only some items of a list."""
    index = item.get("index") if isinstance(item, dict) else None
    return index if type(index) is int else number


def joined(text: str) -> str:
    """Join the halves of surrogate pairs in a text, and replace lone ones."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def text_only(value: Any) -> Any:
    """Copy a JSON value that is complete, with its texts repaired."""
    if isinstance(value, str):
        return joined(value)
    if isinstance(value, dict):
        return {joined(name): text_only(item) for name, item in value.items()}
    if isinstance(value, list):
        return [text_only(item) for item in value]
    return value
