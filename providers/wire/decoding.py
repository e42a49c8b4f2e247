"""What the decoders of streams share: what they keep for the ledger, bytes to events, and bodies
that come at once after all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import MAX_WHOLE, ErrorMap, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire.http import json_or_none
from providers.wire.sse import EventParser


def read_frame(data: bytes) -> dict[str, Any]:
    """The JSON object of one event. Raises ProviderError."""
    chunk = json_or_none(data)
    if not isinstance(chunk, dict):
        raise ProviderError(Failure.ERROR, Reason("piece_unreadable"), status=200)
    return chunk


def error_in_stream(errors: ErrorMap, data: bytes) -> ProviderError:
    """The error that came as a frame after status 200."""
    return errors(Reply(200, {}, data)) or ProviderError(
        Failure.ERROR, Reason("stream_error"), status=200
    )


def broken_off() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("stream_broken"), status=200)


class Decoding:
    """What every decoder keeps (providers.declaration.spec.Decoder)."""

    __slots__ = ("done", "finish_reason", "output_characters", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False


class EventStream(Decoding):
    """Decoder of an event stream. A subclass turns events into frames, and sets `done` with the one
    that ends the answer.

    bare_objects: lines of JSON without `data:` are events too.
    """

    __slots__ = ("_parser",)

    def __init__(self, *, bare_objects: bool = False) -> None:
        super().__init__()
        self._parser = EventParser(bare_objects=bare_objects)

    def feed(self, data: bytes) -> Sequence[Frame]:
        return () if self.done else self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        """Ends the stream. Raises ProviderError where it broke off before its end."""
        frames = [] if self.done else self._frames(self._parser.finish())
        return frames if self.done else [*frames, *self._unended()]

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        """The frames of some events (name, data)."""
        raise NotImplementedError

    def _unended(self) -> Sequence[Frame]:
        """What ends a stream that stopped without saying that it is complete; sets `done`, or
        raises as most have to.
        """
        raise broken_off()


class ReadyStream(Decoding):
    """Decoder of an answer that is there already: its finish() tells it."""

    __slots__ = ()

    def feed(self, data: bytes) -> Sequence[Frame]:
        return ()


class WholeStream(Decoding):
    """Decoder for a service that was asked for a stream and answers at once. A subclass reads the
    body and sets what is kept.
    """

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, *, limit: int = MAX_WHOLE) -> None:
        super().__init__()
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        self._size += len(data)
        if self._size > self._limit:
            raise ProviderError(
                Failure.ERROR, Reason("too_long", most=self._limit // 1024 // 1024), status=200
            )
        self._parts.append(data)
        return ()

    def finish(self) -> Sequence[Frame]:
        return self._read(b"".join(self._parts))

    def _read(self, data: bytes) -> Sequence[Frame]:
        """The frames of the whole body."""
        raise NotImplementedError
