"""Base classes of stream decoders: counters, events, and bodies that arrive whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import MAX_WHOLE, ErrorMap, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire.http import json_or_none
from providers.wire.sse import EventParser


def read_frame(data: bytes) -> dict[str, Any]:
    """Parse the JSON object of one event.

    Raises:
        ProviderError: if it is not a JSON object.
    """
    chunk = json_or_none(data)
    if not isinstance(chunk, dict):
        raise ProviderError(Failure.ERROR, Reason("piece_unreadable"), status=200)
    return chunk


def error_in_stream(errors: ErrorMap, data: bytes) -> ProviderError:
    """Return the error that came as a frame after status 200."""
    return errors(Reply(200, {}, data)) or ProviderError(
        Failure.ERROR, Reason("stream_error"), status=200
    )


def broken_off() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("stream_broken"), status=200)


class Decoding:
    """State that every decoder exposes (providers.declaration.spec.Decoder)."""

    __slots__ = ("done", "finish_reason", "output_characters", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False


class EventStream(Decoding):
    """Decoder of an event stream.

    A subclass converts events to frames, and sets `done` at the event that ends the answer.

    Args:
        bare_objects: whether lines of JSON without `data:` are events too.
    """

    __slots__ = ("_parser",)

    def __init__(self, *, bare_objects: bool = False) -> None:
        super().__init__()
        self._parser = EventParser(bare_objects=bare_objects)

    def feed(self, data: bytes) -> Sequence[Frame]:
        return () if self.done else self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        """End the stream.

        Raises:
            ProviderError: if it broke off before its end.
        """
        frames = [] if self.done else self._frames(self._parser.finish())
        return frames if self.done else [*frames, *self._unended()]

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        """Convert (name, data) events to frames."""
        raise NotImplementedError

    def _unended(self) -> Sequence[Frame]:
        """Handle a stream that stopped without its end: set `done`, or raise as most decoders
        do.
        """
        raise broken_off()


class ReadyStream(Decoding):
    """Decoder of an answer that is already complete: finish() returns it."""

    __slots__ = ()

    def feed(self, data: bytes) -> Sequence[Frame]:
        return ()


class WholeStream(Decoding):
    """Decoder for a service that answers with a whole body instead of a stream.

    A subclass reads the body and sets the counters.
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
        """Convert the whole body to frames."""
        raise NotImplementedError
