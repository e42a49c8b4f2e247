"""Base classes of stream decoders: counters, events, and bodies that arrive whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from core import long_json
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import MAX_WHOLE, ErrorMap, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.wire.http import is_web_page, json_or_none, unreadable
from providers.wire.openai.errors import message_of
from providers.wire.repairs.answers import repair_usage
from providers.wire.repairs.cut_characters import CutCharacters
from providers.wire.repairs.json_text import Repaired, parse_leniently
from providers.wire.repairs.plain import PlainPieces
from providers.wire.sse import EventParser
from providers.wire.usage import later, usage_of


def error_in_stream(errors: ErrorMap, data: bytes) -> ProviderError:
    """Return the error that came as a frame after status 200."""
    return errors(Reply(200, {}, data)) or ProviderError(
        Failure.ERROR, Reason("stream_error"), status=200
    )


def error_event(errors: ErrorMap, data: bytes) -> ProviderError:
    """Return the error of an event called error, also if it is only a text."""
    chunk = json_or_none(data)
    said = message_of(chunk) if isinstance(chunk, dict) else data.decode(errors="replace")
    told = orjson.dumps({"error": {"message": said}})
    return errors(Reply(200, {}, data)) or error_in_stream(errors, told)


def broken_off() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("stream_broken"), status=200)


class Decoding:
    """State that every decoder exposes (providers.declaration.spec.Decoder)."""

    __slots__ = ("_reported", "done", "finish_reason", "output_characters", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False
        self._reported: Mapping[str, Any] | None = None

    def note_usage(self, reported: Any) -> None:
        """Record a usage object; a stream may report several, and figures piece by piece."""
        if reported:
            self._reported = later(self._reported, reported)
            self.usage = usage_of(self._reported)


class EventStream(Decoding):
    """Decoder of an event stream.

    A subclass converts events to frames, and sets `done` at the event that ends the answer. Pieces
    of text that it teaches to `_plain` are converted without it. A body that begins like JSON or a
    web page is read whole, whatever its content type.

    Args:
        bare_objects: whether lines of JSON without `data:` are events too.
    """

    __slots__ = ("_failure", "_is_open", "_pairs", "_parser", "_plain", "_whole")

    def __init__(self, *, bare_objects: bool = False) -> None:
        super().__init__()
        self._parser = EventParser(bare_objects=bare_objects)
        self._is_open = False  # whether events follow
        self._whole: _Collected | None = None
        self._failure: ProviderError | None = None
        self._plain = PlainPieces()
        self._pairs = CutCharacters()

    @property
    def failed(self) -> bool:
        """Whether an error follows the frames that were returned last; finish() raises it."""
        return self._failure is not None

    def feed(self, data: bytes) -> Sequence[Frame]:
        if self.done or not (self._is_open or self._has_begun(data)):
            return ()
        # Not through _frames_before_error: this runs for every chunk of every stream.
        frames: list[Frame] = []
        try:
            self._decode(self._parser.feed(data), frames)
        except ProviderError as error:
            self._fail_after(frames, error)
        return frames

    def finish(self) -> Sequence[Frame]:
        """End the stream.

        Raises:
            ProviderError: if it broke off before its end.
        """
        if self._failure is not None:
            raise self._failure
        if self._whole is not None:
            return self._whole_body(self._whole.body())
        frames = [] if self.done else self._frames_before_error(self._parser.finish())
        return frames if self.done or self.failed else [*frames, *self._unended()]

    def _has_begun(self, data: bytes) -> bool:
        """Tell whether `data` begins or continues an event stream, by its first bytes."""
        if self._failure is not None:
            raise self._failure
        start = data[:1024].lstrip(_BLANK)[:1]
        if self._whole is None and start in _NO_EVENTS:
            self._read_whole()
        if self._whole is not None:
            self._whole.add(data)
            return False
        self._is_open = bool(start)
        return True

    def _read_whole(self, limit: int = MAX_WHOLE) -> None:
        """Collect the body, of at most `limit` bytes, because it is no event stream."""
        self._whole = _Collected(limit)

    def _frames_before_error(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        """Convert events; an error comes after the frames of the events before it."""
        frames: list[Frame] = []
        try:
            self._decode(events, frames)
        except ProviderError as error:
            self._fail_after(frames, error)
        return frames

    def _fail_after(self, frames: Sequence[Frame], error: ProviderError) -> None:
        """Raise an error now, or after the frames that came before it."""
        if not frames:
            raise error
        self._failure, self._is_open = error, False

    def _decode(self, events: Sequence[tuple[bytes, bytes]], frames: list[Frame]) -> None:
        """Convert (name, data) events to frames, and append them to `frames`."""
        plain = self._plain
        for name, data in events:
            piece = plain.read(data)
            if piece is not None:
                self.output_characters += piece[1]
                frames.append(Frame(piece[0], True))
                continue
            frames += self._convert(name, data)
            if self.done:
                break

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        """Convert one event to frames."""
        raise NotImplementedError

    def _parsed(self, data: bytes) -> dict[str, Any] | None:
        """Parse the JSON object of one event.

        Returns:
            The object, or None for anything else: servers keep connections open with events such
            as `null`, and the rest of the answer is good.
        """
        if data[:1] != b"{" and not data.lstrip(_BLANK).startswith(b"{"):
            return None  # unparsed: thousands may come in one piece
        try:
            chunk = long_json.loads(data)
        except long_json.TooManyValues:
            return None
        except ValueError:
            chunk = parse_leniently(data, self._pairs.joined)
        else:
            if self._pairs.held and isinstance(chunk, dict):
                chunk = Repaired(self._pairs.joined(chunk))
        if self._pairs.held:
            self._plain.forget()
        return chunk if isinstance(chunk, dict) else None

    def _usage_frame(self, head: Mapping[str, Any]) -> list[Frame]:
        """Return the frame of the usage that was reported, if any."""
        if self.usage is None:
            return []
        chunk = {**head, "choices": [], "usage": dict(self._reported or {})}
        repair_usage(chunk)
        return [Frame(orjson.dumps(chunk), usage_only=True)]

    def _unended(self) -> Sequence[Frame]:
        """Handle a stream that stopped without its end: set `done`, or raise as most decoders
        do.
        """
        raise broken_off()

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        """Convert a body that is no event stream: set `done`, or raise as most decoders do."""
        reply = Reply(200, {}, body)
        if is_web_page(reply):
            raise unreadable(reply)
        raise self._error_of(body) or unreadable(reply)

    def _lines(self, body: bytes) -> Sequence[Frame]:
        """Convert a body with an event on each line."""
        frames: list[Frame] = []
        self._decode([(b"", line) for line in body.splitlines()], frames)
        if not frames:
            raise unreadable(Reply(200, {}, body))
        return frames if self.done else [*frames, *self._unended()]

    def _error_of(self, body: bytes) -> ProviderError | None:
        """Return the error that a whole body reports."""
        return None

    def _answered(self, ready: ReadyStream) -> Sequence[Frame]:
        """Take over the state of an answer that came whole, and return its frames."""
        self.usage, self.finish_reason = ready.usage, ready.finish_reason
        self.output_characters = ready.output_characters
        self.done = True
        return ready.finish()


_NO_EVENTS = frozenset((b"{", b"[", b"<"))
_BLANK = b" \t\r\n\xef\xbb\xbf"


class _Collected:
    """The parts of a body that is read whole."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int = MAX_WHOLE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise ProviderError(
                Failure.ERROR, Reason("too_long", most=self._limit // 1024 // 1024), status=200
            )
        self._parts.append(data)

    def body(self) -> bytes:
        return b"".join(self._parts)


class ReadyStream(Decoding):
    """Decoder of an answer that is already complete: finish() returns it."""

    __slots__ = ()

    def feed(self, data: bytes) -> Sequence[Frame]:
        return ()

    def finish(self) -> Sequence[Frame]:
        raise NotImplementedError


class WholeStream(Decoding):
    """Decoder for a service that answers with a whole body instead of a stream.

    A subclass reads the body and sets the counters.
    """

    __slots__ = ("_collected",)

    def __init__(self, *, limit: int = MAX_WHOLE) -> None:
        super().__init__()
        self._collected = _Collected(limit)

    def feed(self, data: bytes) -> Sequence[Frame]:
        self._collected.add(data)
        return ()

    def finish(self) -> Sequence[Frame]:
        return self._read(self._collected.body())

    def _read(self, data: bytes) -> Sequence[Frame]:
        """Convert the whole body to frames."""
        raise NotImplementedError
