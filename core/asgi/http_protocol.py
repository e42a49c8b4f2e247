"""The server's HTTP protocol, with limits for clients that send slowly or without end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.asgi.draining import is_draining

MAX_HEAD: Final = 64 * 1024  # bytes of a request's line and headers
MOST_HEADERS: Final = 128
BODY_RATE: Final = 8 * 1024  # bytes per second, below which a body is late
MOST_FRAMING: Final = 8  # bytes around each byte of a body, in chunks of one byte each
CHECK: Final = 5.0  # most seconds between two checks of the time
LINGER: Final = 1.0  # most seconds that a silent connection is kept when the server stops
# A peer that vanished is noticed after two minutes, also while a call waits.
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class _TooManyHeaders(Exception):
    pass


class _UntilClose(int):
    """The content length of an answer that ends with its connection: any length fits."""

    def __lt__(self, _other: object) -> bool:
        return False

    def __sub__(self, _other: object) -> _UntilClose:
        return self

    def __ne__(self, _other: object) -> bool:
        return False

    __hash__ = int.__hash__


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on the time and size of a request.

    The time is only watched while a request is incomplete: most arrive in one piece. What every
    request passes through calls its base by name, because super() takes longer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._is_incomplete = True  # a connection must begin with a request
        self._received = 0  # bytes of the request, with its framing
        self._content = 0  # bytes of its body
        self._began = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._is_last = False  # no further request may follow on the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_incomplete:
            self._received = 0
            self._is_incomplete = self._in_head = True
        self._received += len(data)
        HttpToolsProtocol.data_received(self, data)
        if not self._is_incomplete:
            if self._timer is not None:
                self._unwatch()
        elif self._is_too_large():
            self._refuse_size()
        elif self._timer is None:
            self._began = self.loop.time()
            self._watch()

    def on_message_begin(self) -> None:
        HttpToolsProtocol.on_message_begin(self)
        if not self._is_incomplete:  # it follows another one in the same piece
            self._received = 0
        self._in_head = self._is_incomplete = True
        self._content = 0

    def on_headers_complete(self) -> None:
        if len(self.headers) > MOST_HEADERS:
            raise _TooManyHeaders
        self._in_head = False
        self._began = self.loop.time()
        HttpToolsProtocol.on_headers_complete(self)
        if self._is_last or is_draining():
            self.cycle.keep_alive = False
        if self.scope["http_version"] == "1.0":
            # It knows no chunks, which uvicorn sends if an answer's length is unknown.
            self.cycle.chunked_encoding = False
            self.cycle.expected_content_length = _UntilClose()

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._is_incomplete = False
        HttpToolsProtocol.on_message_complete(self)

    def shutdown(self) -> None:
        """End the connection after the request that is under way, or about to arrive.

        A proxy may have sent one that is not read yet, and must not send it again elsewhere.
        """
        self._is_last = True
        if is_draining() and self._is_idle():
            self.loop.call_later(min(LINGER, settings.SHUTDOWN_DELAY), self._end_if_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _end_if_idle(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self._end()

    def send_400_response(self, msg: str) -> None:
        if self._in_head and self.headers is not None and len(self.headers) > MOST_HEADERS:
            self._refuse_size()
        else:
            self._unwatch()
            super().send_400_response(msg)

    def _is_too_large(self) -> bool:
        """Return whether a head, or what surrounds a body's content, exceeds its limit."""
        if self._in_head:
            return self._received > MAX_HEAD or len(self.headers or ()) > MOST_HEADERS
        framing = self._received - self._content
        return framing > 2 * MAX_HEAD + MOST_FRAMING * self._content or (
            len(self.headers) > 2 * MOST_HEADERS  # trailers are headers too
        )

    def _watch(self) -> None:
        self._timer = self.loop.call_later(min(CHECK, self._allowed()), self._check)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _allowed(self) -> float:
        """Return the seconds that the rest of the request may take since it began."""
        if self._in_head:
            return float(settings.MODELKEEP_HEAD_TIMEOUT)
        return float(settings.MODELKEEP_BODY_TIMEOUT) + self._content / BODY_RATE

    def _check(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or (self._in_head and is_answering):
            self._began = self.loop.time()  # the client may wait for us
        if self.loop.time() - self._began >= self._allowed():
            self._end()
        else:
            self._watch()

    def _refuse_size(self) -> None:
        """Answer 431, unless an answer has begun, and close the connection."""
        cycle = self.cycle
        if not self.transport.is_closing() and (
            cycle is None or cycle.response_complete or not cycle.response_started
        ):
            self.transport.write(_TOO_LARGE)
        self._end()

    def _end(self) -> None:
        """Close the connection, without an answer, as nginx does after a time-out."""
        self._unwatch()
        self.transport.close()


def _keep_alive(connection: Any) -> None:
    if getattr(connection, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
