"""The asynchronous transport, for the gateway: pools, deadlines and size limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.asgi import large_bodies
from core.asgi.large_bodies import LARGE
from core.errors import drop_frames
from providers.declaration.error_bodies import MAX_ERROR_BODY
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Call, Frame, Reply
from providers.transport import failures
from providers.transport.failures import TransportFailure, provider_error
from providers.transport.http1 import request
from providers.transport.http1.pool import Opener, Pool, Pools
from providers.transport.http1.response import Response
from providers.transport.inflating import content_of
from providers.transport.limits import (
    FREE_SECONDS,
    KEEPS_UP,
    MOST_OF_LOOP,
    STREAM_READ,
    UNDO_SECONDS,
)
from providers.transport.safe_decoder import SafeDecoder
from providers.transport.steps import Done, Pause, Steps

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """How far a call got, so that it can be charged when it is cut short.

    accepted: the provider answered with a 2xx status. credits_left: of the trial, after the call
    was settled. size: bytes of the last whole reply. url: of the last call.
    """

    accepted: bool = False
    credits_left: int | None = None
    size: int = 0
    url: str = ""


@dataclass(slots=True)
class _Context:
    """What all calls of one exchange share.

    deadline: on time.monotonic(), in seconds. headers: sent besides the calls' own.
    """

    owner: object
    pool_key: str
    deadline: float
    progress: Progress
    headers: Mapping[str, str] | None


class Stream:
    """An open response: read() returns frames until `ended` is true.

    Args:
        decoder: Turns the body into frames.
        steps: The exchange that opened the stream.
        follow: Makes the decoder's next call.
        abandon: Called by close() if the stream has not ended.
        owner: The tenant, for large_bodies.
    """

    __slots__ = (
        "_abandon",
        "_began",
        "_content",
        "_follow",
        "_more",
        "_owner",
        "_pending",
        "_pool",
        "_response",
        "_spent",
        "_steps",
        "decoder",
        "ended",
    )

    def __init__(
        self,
        decoder: SafeDecoder,
        steps: Steps[Any],
        follow: Callable[[Call], Awaitable[Reply]],
        abandon: Callable[[], None],
        owner: object,
    ) -> None:
        self.decoder = decoder
        self.ended = False
        self._steps = steps
        self._follow = follow
        self._abandon = abandon
        self._owner = owner
        self._began, self._spent = time.perf_counter(), 0.0  # seconds of decoding, if much came
        self._more = b""  # read, but not decoded
        self._pending = 0  # bytes since the last frame, which the next one may be made of
        self._response: Response | None = None
        self._content: Any = None
        self._pool: Pool | None = None

    def hold(self, response: Response, pool: Pool) -> None:
        """Take over the open response and its place in the pool."""
        self._response, self._pool = response, pool
        self._content = content_of(response)

    async def read(self) -> Sequence[Frame]:
        """Return the frames decoded from the next bytes.

        Raises:
            ProviderError: An error in the stream, a broken connection, silence, or too much data.
        """
        if self.ended:
            return ()
        decoder = self.decoder
        if self._response is not None:
            data = b"" if decoder.failed else self._more or await self._next_bytes()
            if len(data) > STREAM_READ or self._more:
                data, self._more = data[:STREAM_READ], data[STREAM_READ:]
            size = self._pending + len(data)
            if len(data) <= KEEPS_UP and size <= LARGE:
                frames = decoder.feed(data) if data else decoder.finish()
            else:
                frames = await self._decode_much(data, size)
            self._pending = 0 if frames else size
            if not data or decoder.done:
                self.ended = decoder.next_call is None
                if not self.ended:
                    # Otherwise close() releases the connection: by then the end of the body has
                    # arrived and the connection can be reused.
                    self._release()
            return frames
        if (call := decoder.next_call) is not None:
            frames = decoder.answered(await self._follow(call))
            self.ended = decoder.done and decoder.next_call is None
            return frames
        self.ended = True
        return decoder.finish()

    async def _decode_much(self, data: bytes, size: int) -> Sequence[Frame]:
        """Decode at once, or in turns if this stream has taken more than its share of the loop."""
        began = time.perf_counter()
        share = FREE_SECONDS + MOST_OF_LOOP * (began - self._began)
        if self._more or size > LARGE or self._spent > share:
            assert self._pool is not None, "an open response has a place in its pool"
            return await self._pool.turns.run(partial(self._decode, data, size))
        try:
            return self.decoder.feed(data) if data else self.decoder.finish()
        finally:
            self._spent += time.perf_counter() - began

    async def _decode(self, data: bytes, size: int) -> Sequence[Frame]:
        work = partial(self.decoder.feed, data) if data else self.decoder.finish
        if data and b"\n" not in data and b"\r" not in data:
            return work()  # it is only kept: its line goes on
        return await large_bodies.run(size, work, owner=self._owner)

    async def _next_bytes(self) -> bytes:
        try:
            data: bytes = await self._content.readany()
            return data
        except (TransportFailure, OSError) as error:
            drop_frames(error)
            failure = error if isinstance(error, TransportFailure) else failures.sent("broken")
            raise self._steps.cleaned(provider_error(failure)) from None

    def _release(self) -> None:
        if self._response is not None:
            self._response.release()
            self._response = None
        if self._pool is not None:
            self._pool.active -= 1
            self._pool = None

    def close(self) -> None:
        """Release the response; before its end, also cancel the work at the provider."""
        self._release()
        if not self.ended:
            self.ended = True
            self._abandon()


class Upstream:
    """Run exchanges. Create one per process and close it inside the same event loop.

    Args:
        allow: Origins that may be reached although they are private or plain HTTP.
        connect_timeout: Seconds to open a connection.
        idle_timeout: Seconds of silence between two pieces of a response.
    """

    def __init__(
        self, *, allow: frozenset[str], connect_timeout: float, idle_timeout: float
    ) -> None:
        self._allow = allow
        self._background: set[asyncio.Future[None]] = set()
        self._pools = Pools(
            Opener(allow=allow, connect_timeout=connect_timeout, idle_timeout=idle_timeout)
        )

    async def run(
        self,
        steps: Steps[Any],
        *,
        owner: object,
        pool_key: str,
        deadline: float,
        progress: Progress,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | Stream:
        """Run an exchange until its answer or its open stream.

        Args:
            steps: The exchange.
            owner: The tenant, for large_bodies.
            pool_key: Tenant and credential; connections are shared only within it.
            deadline: On time.monotonic(), in seconds.
            progress: Updated as the call proceeds.
            headers: Sent with every call, besides its own.

        Raises:
            ProviderError: The exchange failed.
        """
        context = _Context(owner, pool_key, deadline, progress, headers)
        try:
            result = await self._drive(steps, context)
        except BaseException:
            self._undo(steps, context)
            raise
        return (
            result if isinstance(result, Answer | Stream) else self._stream(result, steps, context)
        )

    async def _drive(self, steps: Steps[Any], context: _Context) -> Any:
        if steps.size <= LARGE:
            step = steps.begin()
        else:
            step = await large_bodies.run(steps.size, steps.begin, owner=context.owner)
        while not isinstance(step, Done):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = step.call
            step = await self._make(steps, step, context)
        return step.value

    def _stream(self, decoder: SafeDecoder, steps: Steps[Any], context: _Context) -> Stream:
        async def follow(call: Call) -> Reply:
            reply: Reply = await self._drive(steps.following(call), context)
            return reply

        return Stream(decoder, steps, follow, lambda: self._undo(steps, context), context.owner)

    def _undo(self, steps: Steps[Any], context: _Context) -> None:
        """Cancel an abandoned exchange's work at the provider, in the background."""
        if steps.undo is None:
            return
        call, steps.undo = steps.undo, None
        deadline = time.monotonic() + UNDO_SECONDS
        context = replace(context, deadline=deadline, progress=Progress())
        self._start(self._cancel(steps.following(call), context))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _cancel(self, steps: Steps[Any], context: _Context) -> None:
        try:
            await self._drive(steps, context)
        except ProviderError as error:
            logger.warning("Could not cancel abandoned work at the provider: %s", error.message)

    async def _make(self, steps: Steps[Any], call: Call, context: _Context) -> Any:
        try:
            target = request.target_of(call.url, self._allow)
        except TransportFailure as failure:
            return steps.failed(failure)
        context.progress.url = call.url
        if context.headers:
            call = replace(call, headers={**call.headers, **context.headers})
        pool = self._pools.get(context.pool_key, target)
        pool.active += 1
        response = None
        handed_over = False
        try:
            response = await pool.request(call, target, deadline=context.deadline)
            context.progress.accepted = context.progress.accepted or 200 <= response.status < 300
            reply = await _read_reply(call, response)
            size = context.progress.size = len(reply.body)
            if reply.status >= 400:
                size += steps.size  # a refused request may be written in another way
            if size <= LARGE:
                step = steps.answered(reply)
            else:
                work = partial(steps.answered, reply)
                step = await large_bodies.run(size, work, owner=context.owner)
            if reply.open and isinstance(step, Done):
                stream = self._stream(step.value, steps, context)
                stream.hold(response, pool)
                handed_over = True
                return Done(stream)
            return step
        except TransportFailure as failure:
            drop_frames(failure)
            return steps.failed(failure)
        except OSError as error:  # a damaged body
            drop_frames(error)
            return steps.failed(failures.sent("broken"))
        finally:
            if not handed_over:
                pool.active -= 1
                if response is not None:
                    response.release()

    def connections(self) -> tuple[int, int]:
        """Return how many connections are busy, and how many idle."""
        return self._pools.connections()

    async def close(self) -> None:
        """Wait until abandoned work is cancelled, then close every connection."""
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._pools.close()


async def _read_reply(call: Call, response: Response) -> Reply:
    content = content_of(response)
    if call.stream and 200 <= response.status < 300:
        return Reply(response.status, response.headers, open=True)
    return Reply(response.status, response.headers, await _read_body(call, response, content))


async def _read_body(call: Call, response: Response, content: Any) -> bytes:
    """Read the whole body; of an error only the start, since its rest tells nothing more."""
    is_error = response.status >= 300
    limit = MAX_ERROR_BODY if is_error else call.limit
    if response.content_length > limit and not is_error:
        raise failures.too_large(limit)
    pieces = []
    size = 0
    while piece := await content.readany():
        size += len(piece)
        pieces.append(piece)
        if size > limit:
            if is_error:
                return b"".join(pieces)[:limit]
            raise failures.too_large(limit)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
