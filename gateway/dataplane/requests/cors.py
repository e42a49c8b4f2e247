"""Headers that let web pages of an allowed origin read answers (CORS)."""

from __future__ import annotations

import re
from typing import Final

from gateway.dataplane.doors.interface import Headers

# As browsers send it: printable ASCII without blanks.
_ORIGIN: Final = re.compile(r"[!-~]{1,255}")
_NAMES: Final = re.compile(r"[\w!#$%&'*+.^`|~, -]{1,2000}", re.ASCII)
_EXPOSED: Final = (
    b"x-request-id, request-id, retry-after, x-should-retry, accept-encoding, "
    b"x-modelkeep-credits-remaining, x-modelkeep-reasoning, x-modelkeep-left-at"
)


def origin_in(headers: dict[str, str]) -> str:
    """Return the origin of the page that calls; empty if no page does."""
    origin = headers.get("origin", "")
    return origin if origin and _ORIGIN.fullmatch(origin) else ""


def allowing(origin: str) -> Headers:
    """Return the headers of an answer that a page may read."""
    return [
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]


def preflight(headers: dict[str, str], methods: bytes) -> Headers:
    """Return what an allowed page may send, besides allowing()."""
    wanted = headers.get("access-control-request-headers", "")
    names = wanted if _NAMES.fullmatch(wanted) else "authorization, content-type"
    return [
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", names.encode()),
        (b"access-control-max-age", b"600"),
    ]
