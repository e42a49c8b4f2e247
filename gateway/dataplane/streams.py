"""A provider's stream as the relay reads it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.dataplane.attempts import Call
from providers.declaration.spec import Frame
from providers.transport.safe_decoder import SafeDecoder

HELD_FRAMES: Final = 1000  # of a stream that has sent no content yet
HELD_BYTES: Final = 1024 * 1024


class OpenStream(Protocol):
    """A provider's stream."""

    @property
    def decoder(self) -> SafeDecoder: ...

    @property
    def ended(self) -> bool: ...

    async def read(self) -> Sequence[Frame]:
        """Return the next frames. Raises ProviderError."""

    def close(self) -> None: ...


async def first_frames(call: Call, stream: OpenStream) -> list[Frame]:
    """Return the frames up to the first content.

    Until then nothing has been sent to the client, so another target may still answer. A
    stream that sends HELD_FRAMES or HELD_BYTES without content is passed on as it is.
    """
    frames: list[Frame] = []
    size = 0
    try:
        while not stream.ended:
            new = await stream.read()
            frames += new
            if any(frame.content for frame in new) and not stream.decoder.failed:
                call.first_token = time.monotonic()
                break
            size += sum(len(frame.data) for frame in new)
            if size > HELD_BYTES or len(frames) > HELD_FRAMES:
                break
    except BaseException:
        stream.close()
        raise
    return frames
