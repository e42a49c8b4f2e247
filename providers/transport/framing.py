"""Bounds on what surrounds a reply's content: heads, 1xx answers, chunk sizes and trailers."""

from __future__ import annotations

import http.client
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_FRAMING: Final = 256 * 1024  # bytes of a reply that has no content yet
MOST_FRAMING: Final = 8  # bytes for each byte of content; chunks of one byte have five


class BoundedHandler(ResponseHandler):
    """A connection of aiohttp that is closed if it receives far more framing than content."""

    # For servers that send before they are asked.
    _received = 0
    _checked_at = MAX_FRAMING

    def set_response_params(self, **options: Any) -> None:
        self._received, self._checked_at = 0, MAX_FRAMING
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._checked_at and self._is_flooded():
            self._end()
            return
        ResponseHandler.data_received(self, data)  # super() takes longer, for every piece

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading if it was paused; aiohttp calls this for every piece that is taken."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _is_flooded(self) -> bool:
        content = 0 if self._payload is None else self._payload.total_bytes
        self._checked_at = self._received + MAX_FRAMING
        return self._received - content > MAX_FRAMING + MOST_FRAMING * content

    def _end(self) -> None:
        problem = aiohttp.ClientPayloadError("more framing than content")
        payload = self._payload
        self.set_exception(problem)
        if payload is not None:
            payload.set_exception(problem)
        if self.transport is not None:
            self.transport.close()


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
