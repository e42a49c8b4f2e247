"""A decoder that limits a stream's size and cleans the errors raised while reading it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Call, Continued, Decoder, Frame, Reply, Usage
from providers.failures.reasons import Reason
from providers.transport.failures import MALFORMED, malformed
from providers.transport.limits import MAX_STREAM


class SafeDecoder:
    """Wrap a Decoder: count its bytes and clean the errors it raises."""

    __slots__ = ("_clean", "_decoder", "_left", "_most")

    def __init__(self, decoder: Decoder, clean: Callable[[ProviderError], ProviderError]) -> None:
        self._decoder = decoder
        self._clean = clean
        self._left = self._most = getattr(decoder, "most", MAX_STREAM)

    @property
    def usage(self) -> Usage | None:
        return self._decoder.usage

    @property
    def finish_reason(self) -> str | None:
        return self._decoder.finish_reason

    @property
    def output_characters(self) -> int:
        return self._decoder.output_characters

    @property
    def done(self) -> bool:
        return self._decoder.done

    @property
    def failed(self) -> bool:
        """Whether an error follows the frames that were returned last; finish() raises it."""
        return getattr(self._decoder, "failed", False)

    @property
    def native(self) -> bool:
        """Whether frames are events of the request's own format, as their provider wrote them."""
        return getattr(self._decoder, "native", False)

    @property
    def next_call(self) -> Call | None:
        """The next request of a Continued decoder; None for all other decoders."""
        return getattr(self._decoder, "next_call", None)

    def feed(self, data: bytes) -> Sequence[Frame]:
        self._left -= len(data)
        if self._left < 0:
            raise ProviderError(
                Failure.ERROR, Reason("stream_too_long", most=self._most // 1024 // 1024)
            )
        # Not through _read: this runs for every chunk of every stream.
        try:
            return self._decoder.feed(data)
        except ProviderError as error:
            raise self._clean(error) from None
        except MALFORMED as error:
            raise self._clean(malformed(error)) from None

    def finish(self) -> Sequence[Frame]:
        return self._read(self._decoder.finish)

    def answered(self, reply: Reply) -> Sequence[Frame]:
        """Pass the reply to next_call to a Continued decoder."""
        decoder: Continued = self._decoder  # type: ignore[assignment]  # it had a next_call
        return self._read(lambda: decoder.answered(reply))

    def _read(self, read: Callable[[], Sequence[Frame]]) -> Sequence[Frame]:
        try:
            return read()
        except ProviderError as error:
            raise self._clean(error) from None
        except MALFORMED as error:
            raise self._clean(malformed(error)) from None
