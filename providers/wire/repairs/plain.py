"""The fast path of streams: chunks that differ from an earlier one only in their text. Pure."""

from __future__ import annotations

from typing import Final

import orjson

_PADDING: Final = b',"obfuscation":"'  # OpenAI's, of another length in each chunk
_NEVER: Final = b"\0"  # begins no JSON


class PlainPieces:
    """Recognize a piece of text by the bytes around it, without parsing its JSON.

    The bytes are those of an earlier chunk that was parsed and repaired, so the same repairs apply.
    """

    __slots__ = ("_after", "_before", "_is_same", "_sent_after", "_sent_before")

    def __init__(self) -> None:
        self._before = _NEVER
        self._after = b""
        self._is_same = True  # whether chunks are sent as they came
        self._sent_before = self._sent_after = b""

    def read(self, data: bytes) -> tuple[bytes, int] | None:
        """Return what to send of a chunk and the characters of its text; None if it must be
        parsed.
        """
        if not data.startswith(self._before):
            return None
        end = len(data) - len(self._after)
        if not data.endswith(self._after):
            end = self._before_padding(data) if self._is_same else 0
        piece = data[len(self._before) : max(end, 0)]
        if b'"' in piece or b"\\" in piece:
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

    def learn(self, data: bytes, sent: bytes, text: str) -> None:
        """Note the bytes around the only text of a chunk.

        Args:
            sent: what was sent of it, repaired.
        """
        quoted = b'"%b"' % text.encode()
        if not text.isprintable() or orjson.dumps(text) != quoted:
            return
        if data.count(quoted) != 1 or sent.count(quoted) != 1:
            return
        self._is_same = data == sent
        self._before, self._after = _around(data, quoted, padded=self._is_same)
        self._sent_before, self._sent_after = _around(sent, quoted, padded=self._is_same)

    def _before_padding(self, data: bytes) -> int:
        """Return where the text ends in a chunk with padding; 0 if it has none."""
        at = data.rfind(_PADDING)
        if at < 0 or not data.endswith(b'"}') or data.count(b'"', at) != 4:
            return 0
        after = self._after[:-1]
        return at - len(after) if data.endswith(after, 0, at) else 0


def _around(data: bytes, quoted: bytes, *, padded: bool) -> tuple[bytes, bytes]:
    """Split a chunk at its text, which lies between the quotes.

    Args:
        padded: whether to leave out padding.
    """
    before, _text, after = data.partition(quoted)
    plain, padding, _rest = after.partition(_PADDING)
    if padded and padding:
        after = plain + b"}"
    return before + b'"', b'"' + after
