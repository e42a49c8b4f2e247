"""What is sent: where a call goes, and its head as bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from providers.declaration.spec import Call
from providers.transport import egress
from providers.transport.limits import USER_AGENT

# What a request line may hold between its spaces; anything else must have been quoted.
_PATH: Final = re.compile(r"/[!-~]*\Z")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")
# Methods whose request has no body unless one is given; RFC 9110, 8.6.
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# The connection's own business, RFC 9110, 7.6.1, and lengths that are counted here.
_NEVER_TAKEN: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes.

    Args:
        origin: As `egress.origin` returns it.
        host: To be resolved, and for which the certificate must be valid; IPv6 without brackets.
        authority: The value of the header Host.
        path: With the query, as it stands in the request line.
    """

    origin: str
    host: str
    port: int
    is_tls: bool
    authority: str
    path: str


@lru_cache(maxsize=4096)
def target_of(url: str, allow: frozenset[str]) -> Target:
    """Return where a URL leads, if it may be called.

    Args:
        url: Of the call.
        allow: Origins that may be reached although they are private or plain HTTP.

    Raises:
        Refused: The URL must not be called, or cannot stand in a request line.
    """
    egress.check_url(url, allow=allow, tenant_typed=True)
    origin = egress.origin(url)
    scheme, _, rest = origin.partition("://")
    host, _, port = rest.rpartition(":")
    parts = urlsplit(url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if not _PATH.match(path):
        raise egress.Refused("url_characters")
    is_default = int(port) == egress.PORTS[scheme]
    return Target(
        origin=origin,
        host=host.strip("[]"),
        port=int(port),
        is_tls=scheme == "https",
        authority=host if is_default else rest,
        path=path,
    )


def head_of(call: Call, target: Target) -> bytes:
    """Return the head of a request.

    Raises:
        ValueError: A header would break the head; the message has no value.
    """
    headers = call.headers
    names = {name.lower() for name in headers}
    lines = [f"{call.method} {target.path} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {target.authority}")
    if "user-agent" not in names:
        lines.append(f"User-Agent: {USER_AGENT}")
    if "accept-encoding" not in names:
        lines.append("Accept-Encoding: identity")
    lines += [
        f"{name}: {value}" for name, value in headers.items() if name.lower() not in _NEVER_TAKEN
    ]
    if length := _length_line(call):
        lines.append(length)
    _check(lines, headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _length_line(call: Call) -> str:
    if call.file is not None:
        return f"Content-Length: {call.file.size}"
    if call.body is not None:
        return f"Content-Length: {len(call.body)}"
    return "" if call.method in _WITHOUT_BODY else "Content-Length: 0"


def _check(lines: list[str], headers: Mapping[str, str]) -> None:
    """Let no name or value add a line to the head, which would be a request of its own."""
    text = "\n".join(lines)
    if "\r" in text or "\0" in text or text.count("\n") != len(lines) - 1:
        raise ValueError("a header of the call has a line break")
    for name in headers:
        if not _TOKEN.match(name):
            raise ValueError("a header of the call has an invalid name")
