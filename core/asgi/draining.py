"""Whether this server is about to stop, in memory that all of its processes share.

It is told before the server's socket closes: /readyz turns red and kept connections are closed with
their next answer, so that proxies move to another machine before this one refuses connections.
"""

from __future__ import annotations

import mmap
from typing import Final

_shared: Final = mmap.mmap(-1, 1)


def begin() -> None:
    _shared[0] = 1


def is_draining() -> bool:
    return _shared[0] == 1
