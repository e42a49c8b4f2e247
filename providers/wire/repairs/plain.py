"""The fast path of streams: chunks that differ from an earlier one only in their text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

_PADDING: Final = b',"obfuscation":"'  # OpenAI's, of another length in each chunk
_QUOTE: Final = b'"'
_LONGEST: Final = 4096  # characters of a text that tells how the next ones look
_NEVER: Final = b"\0"  # begins no JSON


class PlainPieces:
    """Recognize a piece of text by the bytes around it, without parsing its JSON.

    The bytes are those of an earlier chunk that was parsed and repaired, so the same repairs apply.
    """

    __slots__ = (
        "_after",
        "_after_unpadded",
        "_before",
        "_is_same",
        "_sent_after",
        "_sent_before",
        "_stop",
    )

    def __init__(self) -> None:
        self._before = _NEVER
        self._after = self._after_unpadded = b""
        self._is_same = True  # whether chunks are sent as they came
        self._sent_before = self._sent_after = b""
        self._stop = _QUOTE

    def read(self, data: bytes) -> tuple[bytes, int] | None:
        """Return what to send of a chunk and the characters of its text; None if it must be
        parsed.
        """
        if not data.startswith(self._before):
            return None
        piece, _quote, after = data[len(self._before) :].partition(_QUOTE)
        if after != self._after and self._without_padding(after) != self._after_unpadded:
            return None
        if b"\\" in piece or self._stop in piece:
            return None
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            return None
        if not text or not text.isprintable():
            return None
        if self._is_same:
            return data, len(text)
        return self._sent_before + piece + self._sent_after, len(text)

    def learn(self, data: bytes, sent: bytes, text: str, stop: bytes = _QUOTE) -> None:
        """Note the bytes around the only text of a chunk.

        Args:
            sent: what was sent of it, repaired.
            stop: what a piece must not contain, because it would be repaired otherwise.
        """
        quoted = b'"%b"' % text[: _LONGEST + 1].encode()
        if len(text) > _LONGEST or not text.isprintable() or orjson.dumps(text) != quoted:
            return
        if data.count(quoted) != 1 or sent.count(quoted) != 1:
            return
        self._is_same, self._stop = data == sent, stop
        self._before, self._after = _around(data, quoted)
        self._sent_before, self._sent_after = _around(sent, quoted)
        self._sent_after = _QUOTE + self._sent_after
        self._after_unpadded = self._without_padding(self._after) or self._after

    def forget(self) -> None:
        """Have the next chunks parsed."""
        self._before = _NEVER

    def _without_padding(self, after: bytes) -> bytes | None:
        """Return the bytes after a text without padding, or None if they have none.

        Padding is a member of OpenAI's, and blanks among the last brackets of Anthropic's.
        """
        if not self._is_same:
            return after.replace(b" ", b"") if _QUOTE not in after else None
        plain, found, padding = after.partition(_PADDING)
        if not found or padding[-2:] != b'"}' or padding.count(_QUOTE) != 1:
            return None
        return plain + b"}"


def only_text(choices: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a chunk's choices that hold nothing else, or an empty text."""
    if len(choices) != 1 or choices[0]["finish_reason"] is not None:
        return ""
    texts = [value for value in choices[0]["delta"].values() if value]
    return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else ""


def _around(data: bytes, quoted: bytes) -> tuple[bytes, bytes]:
    """Split a chunk at its text, which lies between the quotes."""
    before, _text, after = data.partition(quoted)
    return before + _QUOTE, after
