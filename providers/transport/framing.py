"""Bounds on what surrounds a reply's content: heads, 1xx answers, chunk sizes and trailers."""

from __future__ import annotations

import http.client
from typing import Any, Final

MAX_FRAMING: Final = 256 * 1024  # bytes of a reply that has no content yet
MOST_FRAMING: Final = 8  # bytes for each byte of content; chunks of one byte have five


class BoundedResponse(http.client.HTTPResponse):
    """A reply of http.client whose lines, all but the content, have a limit."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = _Lines(self.fp)  # type: ignore[assignment]  # a file but for its lines

    def _read_status(self) -> Any:
        """Read the status; http.client skips 100, and takes other interim answers for final."""
        status = super()._read_status()  # type: ignore[misc]  # it is private
        if 100 < status[1] < 200:
            raise OSError("an interim answer that was not asked for")
        return status


class _Lines:
    """A file whose lines may have MAX_FRAMING bytes in all."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_FRAMING

    def readline(self, limit: int = -1) -> bytes:
        """Read a line.

        Raises:
            OSError: There were too many bytes in lines.
        """
        allowed = self._left + 1
        line: bytes = self._file.readline(allowed if limit < 0 else min(limit, allowed))
        self._left -= len(line)
        if self._left < 0:
            raise OSError("more framing than content")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
