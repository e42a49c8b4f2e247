"""Limits that both transports share. Times are in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Final

RETRIES: Final = 2  # repeats of a call over a whole exchange
LONGEST_PAUSE: Final = 8.0  # after a longer wait, another target is the better choice
FIRST_PAUSE: Final = 0.25  # before the first repeated connect; doubles each time
UNDO_SECONDS: Final = 10.0  # to cancel abandoned work at the provider
MAX_STREAM: Final = 64 * 1024 * 1024  # of one streamed body
READ_SIZE: Final = 64 * 1024  # per read from a socket
FILE_READ: Final = 256 * 1024  # per read of a file that is sent
STREAM_READ: Final = 32 * 1024  # of a stream at a time: its events take a few milliseconds
KEEPS_UP: Final = 4 * 1024  # of a stream, whose time is not measured
# A stream may take this many seconds of the event loop, and this share of it for longer.
FREE_SECONDS: Final = 0.02
MOST_OF_LOOP: Final = 0.1
SYNC_POOLS: Final = 64  # one per credential; each may hold several connections
ASYNC_POOLS: Final = 4096  # one per credential and origin
# How long a connection may stay idle. Small model servers such as uvicorn close theirs after five
# seconds, and a request must not run into that.
KEEP_ALIVE: Final = {"https": 15.0, "http": 4.0}
# Values of Content-Encoding that mean the body is not compressed.
IDENTITY: Final = frozenset({"", "identity"})
USER_AGENT: Final = "modelkeep"
