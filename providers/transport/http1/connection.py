"""A connection to a provider's server: one request at a time, its reply parsed by httptools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from providers.transport import failures
from providers.transport.failures import TransportFailure
from providers.transport.framing import MAX_FRAMING, MOST_FRAMING
from providers.transport.http1.response import MOST_WAITING, Response


class Connection(asyncio.Protocol):
    """An open connection.

    Attributes:
        is_usable: Whether it can take (another) request.
        was_silent: Whether nothing came for the last request.
        idle_since: Time of the loop, in seconds, when the last reply was read.
    """

    __slots__ = (
        "_can_write",
        "_checked_at",
        "_deadline",
        "_finished",
        "_headers",
        "_heard_at",
        "_idle_timeout",
        "_is_cut",
        "_is_delimited",
        "_is_interim",
        "_is_paused",
        "_keeps_alive",
        "_loop",
        "_parser",
        "_received",
        "_response",
        "_timer",
        "_transport",
        "_unsent",
        "idle_since",
        "is_usable",
        "was_silent",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_usable = False
        self.was_silent = True
        self.idle_since = 0.0
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # As widely used clients do: servers that bend these rules are many, and a reply that was
        # read in another way than it was meant can only confuse its own reader.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_interim = self._is_delimited = self._keeps_alive = False
        self._is_cut = self._is_paused = False
        self._received, self._checked_at = 0, MAX_FRAMING
        self._deadline = self._idle_timeout = self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._can_write: asyncio.Future[None] | None = None
        self._unsent = 0
        self._finished: Callable[[Connection], None] | None = None

    # Requests

    def send(
        self,
        head: bytes,
        body: bytes | None,
        *,
        deadline: float,
        idle_timeout: float,
        finished: Callable[[Connection], None],
    ) -> Response:
        """Send a request.

        Args:
            deadline: For the whole reply, in seconds of the loop's time.
            idle_timeout: Seconds without any byte from or to the server.
            finished: Called when the reply is given back.
        """
        assert self._transport is not None, "a request needs an open connection"
        response = self._response = Response(self._loop, self._resume)
        response.finish = self._finish
        self.is_usable = self._is_cut = False
        self.was_silent = True
        self._finished = finished
        self._headers = []
        self._received, self._checked_at = 0, MAX_FRAMING
        self._is_interim = self._is_delimited = self._keeps_alive = False
        self._deadline, self._idle_timeout = deadline, idle_timeout
        self._heard_at = now = self._loop.time()
        self._timer = self._loop.call_at(min(deadline, now + idle_timeout), self._check_time)
        self._transport.writelines((head, body) if body else (head,))
        return response

    async def send_more(self, data: bytes) -> None:
        """Send a piece of the body, at the pace of the server."""
        if self._transport is None:
            raise failures.sent("broken")
        self._heard_at = self._loop.time()
        self._transport.write(data)
        if self._can_write is not None:
            await self._can_write

    def fail(self, failure: TransportFailure) -> None:
        """End the reply that is under way, and the connection."""
        if self._response is not None:
            self._response.fail(failure)
        self.close()

    def close(self) -> None:
        """Close at once, without waiting for what is unsent."""
        self.is_usable = False
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def cut_short(self) -> None:
        """Say that the request will never be whole: after its reply, the connection is closed."""
        self._is_cut = True

    def _finish(self) -> None:
        response, self._response = self._response, None
        finished, self._finished = self._finished, None
        self._stop_timer()
        if response is not None and response.is_eof() and self._can_be_reused():
            self._resume()
            self.is_usable = True
            self.idle_since = self._loop.time()
        else:
            self.close()
        if finished is not None:
            finished(self)

    def _can_be_reused(self) -> bool:
        transport = self._transport
        return (
            self._keeps_alive
            and not self._is_cut
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    # Time

    def _check_time(self) -> None:
        """Fail after the deadline or too much silence; otherwise look again when it could be."""
        self._timer = None
        response, now = self._response, self._loop.time()
        if response is None or response.is_complete or response.failure is not None:
            return
        unsent = self._transport.get_write_buffer_size() if self._transport else 0
        if self._is_paused or unsent != self._unsent:  # our reader, or the network, is slow
            self._heard_at, self._unsent = now, unsent
        due = min(self._deadline, self._heard_at + self._idle_timeout)
        if now >= due:
            self.fail(failures.sent("timeout"))
        else:
            self._timer = self._loop.call_at(due, self._check_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_usable = True

    def data_received(self, data: bytes) -> None:
        response, parser = self._response, self._parser
        if response is None or response.is_complete or parser is None:
            self._keeps_alive = False
            self.close()  # nobody asked
            return
        self._heard_at = self._loop.time()
        self.was_silent = False
        self._received += len(data)
        if self._received > self._checked_at and self._is_flooded(response):
            self.fail(failures.sent("broken"))
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keeps_alive = False
            self.fail(failures.sent("broken"))
            return
        if response.status:
            response.wake()
        if response.waiting > MOST_WAITING and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = self._parser = None  # which know this connection
        self.is_usable = False
        self.resume_writing()
        response = self._response
        if response is None or response.is_complete:
            return
        if error is None and response.status and not self._is_delimited:
            response.is_complete = True  # a body that ends with its connection
            response.wake()
        else:
            response.fail(failures.sent("broken"))

    def pause_writing(self) -> None:
        self._can_write = self._loop.create_future()

    def resume_writing(self) -> None:
        self._heard_at = self._loop.time()  # the server has taken what was sent
        waiter, self._can_write = self._can_write, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _resume(self) -> None:
        """Read from the socket again, if that was paused and the reader has kept up."""
        if self._is_paused and self._transport is not None:
            response = self._response
            if response is None or response.waiting <= MOST_WAITING // 2:
                self._is_paused = False
                self._heard_at = self._loop.time()
                self._transport.resume_reading()

    def _is_flooded(self, response: Response) -> bool:
        """Return whether far more framing than content came: heads, chunk sizes, trailers."""
        content = response.received
        self._checked_at = self._received + MAX_FRAMING
        return self._received - content > MAX_FRAMING + MOST_FRAMING * content

    # What httptools calls

    def on_message_begin(self) -> None:
        response = self._response
        if response is not None and response.is_complete:
            self._keeps_alive = False  # a second reply, which nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        response, parser = self._response, self._parser
        assert parser is not None, "only the parser calls this"
        status = parser.get_status_code()
        headers, self._headers = self._headers, []
        self._is_interim = 100 <= status < 200  # 101 makes the parser fail
        if response is None or response.status or self._is_interim:
            return
        named = {
            name.decode("latin-1").lower(): value.decode("utf-8", "surrogateescape").strip(" \t")
            for name, value in headers
        }
        self._is_delimited = (
            "content-length" in named or "chunked" in named.get("transfer-encoding", "").lower()
        )
        response.begin(status, named)

    def on_body(self, data: bytes) -> None:
        response = self._response
        if response is not None and not response.is_complete:
            response.add(data)

    def on_message_complete(self) -> None:
        response = self._response
        if response is None or self._is_interim or response.is_complete:
            return
        self._keeps_alive = self._parser is not None and self._parser.should_keep_alive()
        response.is_complete = True
        self._stop_timer()
