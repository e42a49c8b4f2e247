"""Answers that are no proper HTTP, or end where none ends: what a provider's machine sends on a bad
day. Each is a list of what happens on the connection, after which it is closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Step: TypeAlias = bytes | float | str  # bytes to send, seconds to wait, or HANG or RESET
HANG: Final = "hang"
RESET: Final = "reset"


@dataclass(frozen=True)
class Good:
    """What a good server would send."""

    body: bytes
    content_type: str

    def head(self, *more: str, version: str = "1.1") -> bytes:
        lines = (f"HTTP/{version} 200 OK", f"Content-Type: {self.content_type}", *more)
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def sized(self, difference: int = 0) -> bytes:
        return self.head(f"Content-Length: {len(self.body) + difference}") + self.body

    @property
    def half(self) -> bytes:
        """The answer to the middle of its body."""
        return self.sized()[: -len(self.body) // 2]


def changed(good: Good, old: bytes, new: bytes) -> list[Step]:
    return [Good(good.body.replace(old, new), good.content_type).sized()]


MODES: dict[str, Callable[[Good], list[Step]]] = {
    "head_hang": lambda good: [b"HTTP/1.1 200 OK\r\nContent-Type: app", HANG],
    "mid_hang": lambda good: [good.half, HANG],
    "reset": lambda good: [RESET],
    "mid_reset": lambda good: [good.half, 0.05, RESET],
    "cut": lambda good: [good.half],
    "cut_clean": lambda good: [
        good.head("Transfer-Encoding: chunked"),
        b"%x\r\n" % (len(good.body) // 2) + good.body[: len(good.body) // 2] + b"\r\n0\r\n\r\n",
    ],
    "long_length": lambda good: [good.sized(+20)],
    "short_length": lambda good: [good.sized(-20)],
    "negative_length": lambda good: [good.head("Content-Length: -5") + good.body],
    "two_lengths": lambda good: [
        good.head(f"Content-Length: {len(good.body)}", "Content-Length: 3") + good.body
    ],
    "bad_chunk": lambda good: [good.head("Transfer-Encoding: chunked") + b"zz\r\n" + good.body],
    "header_flood": lambda good: [
        b"HTTP/1.1 200 OK\r\n",
        *(b"X-Pad-%d: %b\r\n" % (number, b"y" * 1000) for number in range(2000)),
    ],
    "garbage": lambda good: [b"\x00\x01\x02 this is not HTTP\r\n\r\n"],
    "bad_utf8": lambda good: changed(good, b"o", b"\xff\xc3("),
    "nul": lambda good: changed(good, b'"stop"', b'"st\\u0000op"'),
    "huge_usage": lambda good: changed(
        good, b'"prompt_tokens":9', b'"prompt_tokens":99999999999999999999'
    ),
    "empty": lambda good: [good.head("Content-Length: 0")],
    "no_content": lambda good: [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "http_1_0": lambda good: [good.head(version="1.0") + good.body],
    "early_hints": lambda good: [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", good.sized()],
}


async def send(name: str, good: Good, writer: asyncio.StreamWriter) -> None:
    for step in MODES[name](good):
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step == HANG:
            await asyncio.sleep(3600)
        else:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST, as a machine does that forgot it."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
