"""Replies of odd servers: read as they are meant, or refused; nothing of them stays behind."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from providers.transport.failures import TransportFailure
from tests.providers.transport.http1.servers import Script, playing, response_of

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = OK + b"Content-Length: 3\r\n\r\nabc"

# The reply, whether the server then closes, and what is read: None for a broken reply.
READ: dict[str, tuple[bytes, bool, bytes | None]] = {
    "a length": (LENGTH, False, b"abc"),
    "an empty body": (OK + b"Content-Length: 0\r\n\r\n", False, b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", False, b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, b""),
    "chunks": (CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", False, b"abc"),
    "chunks with extensions": (CHUNKED + b"3;a=b\r\nabc\r\n0;last\r\n\r\n", False, b"abc"),
    "chunks with spaces": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", False, b"abc"),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", False, b"abc"),
    "until the end": (OK + b"\r\nabc", True, b"abc"),
    "nothing until the end": (OK + b"\r\n", True, b""),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    "HTTP/1.0 until the end": (b"HTTP/1.0 200 OK\r\n\r\nabc", True, b"abc"),
    "another coding, until the end": (OK + b"Transfer-Encoding: x\r\n\r\nabc", True, b"abc"),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    "lines without CR": (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", False, b"abc"),
    "a folded header": (OK + b"X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    "a header in Latin-1": (OK + b"X: \xe9\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    "interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + LENGTH,
        False,
        b"abc",
    ),
    "more than its length": (LENGTH + b"def", False, b"abc"),
    "a second reply": (LENGTH + OK + b"Content-Length: 3\r\n\r\ndef", False, b"abc"),
    "more after the end": (
        OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabcd",
        False,
        b"abc",
    ),
    "cut in its length": (OK + b"Content-Length: 4\r\n\r\nabc", True, None),
    "cut in a chunk": (CHUNKED + b"4\r\nabc", True, None),
    "cut before the last chunk": (CHUNKED + b"3\r\nabc\r\n", True, None),
    "cut in the head": (OK + b"Content-Le", True, None),
    "nothing at all": (b"", True, None),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", False, None),
    "HTTP/2": (b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", False, None),
    "switching": (b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", False, None),
    "a length and chunks": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        False,
        None,
    ),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", False, None),
    "a negative length": (OK + b"Content-Length: -3\r\n\r\nabc", False, None),
    "a huge chunk": (CHUNKED + b"fffffffffffffffff\r\nabc", False, None),
    "a chunk that is none": (CHUNKED + b"xyz\r\nabc\r\n", False, None),
}
# After these, the connection can carry the next request.
KEPT = {
    "a length",
    "an empty body",
    "no content",
    "not modified",
    "chunks",
    "chunks with extensions",
    "chunks with spaces",
    "trailers",
    "no reason phrase",
    "lines without CR",
    "a folded header",
    "a header in Latin-1",
    "interim replies",
}


async def read(script: Script) -> bytes | None:
    async with playing(script) as hub:
        try:
            return (await hub.get())[1]
        except TransportFailure as failure:
            return None if failure.kind == "broken" else failure.kind.encode()


@pytest.mark.parametrize("in_bytes", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name", READ)
def test_a_reply_is_read_as_it_is_meant(name: str, in_bytes: bool) -> None:
    reply, closes, expected = READ[name]
    pieces = [reply[at : at + 1] for at in range(len(reply))] if in_bytes else [reply]
    assert uvloop.run(read(Script([pieces], closes=closes))) == expected


@pytest.mark.parametrize("name", READ)
def test_only_a_connection_in_a_known_state_is_reused(name: str) -> None:
    reply, closes, expected = READ[name]
    script = Script([[reply], [LENGTH]], closes=closes)

    async def main() -> None:
        async with playing(script) as hub:
            for _time in range(2):
                try:
                    assert (await hub.get())[1] in (expected, b"abc")
                except TransportFailure:
                    assert expected is None

    if name in KEPT:
        uvloop.run(main())
    else:
        script.replies.pop()
        uvloop.run(main())
    assert script.connections == (1 if name in KEPT else 2)


@pytest.mark.slow
@given(st.sampled_from(sorted(READ)), st.lists(st.integers(0, 150), max_size=6))
def test_where_a_reply_is_cut_into_pieces_changes_nothing(name: str, cuts: list[int]) -> None:
    reply, closes, expected = READ[name]
    edges = [0, *sorted(cut for cut in cuts if cut < len(reply)), len(reply)]
    pieces = [reply[start:end] for start, end in pairwise(edges)]
    assert uvloop.run(read(Script([pieces], closes=closes))) == expected


@pytest.mark.slow
@given(st.sampled_from(sorted(READ)), st.integers(0, 150), st.binary(max_size=20))
@example("a length", 9, b"\0")
def test_damaged_replies_end_in_time(name: str, at: int, damage: bytes) -> None:
    """Any bytes: a reply or a failure, and the call after it is answered."""
    reply = READ[name][0]
    script = Script([[reply[:at] + damage + reply[at + len(damage) :]]], closes=True)

    async def main() -> Any:
        async with playing(script, idle_timeout=2) as hub:
            with suppress(TransportFailure):
                await hub.get()
            script.replies, script.closes = [[LENGTH]], False
            return await hub.get()

    assert uvloop.run(main()) == (200, b"abc")


def test_names_of_headers_are_in_lower_case_and_the_last_value_counts() -> None:
    reply = OK + b"X-A: 1\r\nx-a: 2 \r\nCONTENT-LENGTH: 0\r\n\r\n"

    async def main() -> dict[str, str]:
        async with playing(Script([[reply]])) as hub:
            return (await response_of(hub)).headers

    assert uvloop.run(main()) == {"x-a": "2", "content-length": "0"}
