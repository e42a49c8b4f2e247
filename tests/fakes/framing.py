"""Ways in which a well-meant event stream can look. Every function takes a stream's bytes and gives
other bytes of the same meaning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Frame = Callable[[bytes], bytes]
_EVENT = re.compile(rb"(?:\r\n|\n|\r){2}")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"|[,:{\[]')


def crlf(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r\n")


def carriage_returns(stream: bytes) -> bytes:
    return stream.replace(b"\n", b"\r")


def comments(stream: bytes) -> bytes:
    return b": hello\n\n" + stream.replace(b"\n\n", b"\n\n: ping\n:\nretry: 10\nid: 3\n\n")


def byte_order_mark(stream: bytes) -> bytes:
    return b"\xef\xbb\xbf" + stream


def no_blank(stream: bytes) -> bytes:
    """Nothing between the colon and the value, unless it begins with a blank of its own."""
    return re.sub(rb"(?m)^(data|event): (?! )", rb"\1:", stream)


def no_blank_line(stream: bytes) -> bytes:
    """The last event's blank line is missing."""
    return stream.rstrip(b"\n")


def several_lines(stream: bytes) -> bytes:
    """JSON on several data lines, wherever blanks may stand."""
    return b"".join(
        _broken(line) if line.startswith((b"data: {", b"data:{")) else line
        for line in stream.splitlines(keepends=True)
    )


def _broken(line: bytes) -> bytes:
    prefix, _, data = line.partition(b"{")

    def breaks(found: re.Match[bytes]) -> bytes:
        return found[0] if found[0].startswith(b'"') else found[0] + b"\n" + prefix

    return prefix + _STRING.sub(breaks, b"{" + data)


HOSTILE: tuple[Frame, ...] = (
    bytes,
    crlf,
    carriage_returns,
    comments,
    byte_order_mark,
    no_blank,
    no_blank_line,
    several_lines,
)


# How the bytes are cut.


def at_once(data: bytes) -> list[bytes]:
    return [data]


def each_byte(data: bytes) -> list[bytes]:
    return [data[number : number + 1] for number in range(len(data))]


def each_line(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def in_sevens(data: bytes) -> list[bytes]:
    return [data[number : number + 7] for number in range(0, len(data), 7)]


# Streams in OpenAI's format, taken apart.


def events_of(stream: bytes) -> list[bytes]:
    """The events with their blank line."""
    return [
        event + b"\n\n"
        for event in _EVENT.split(stream.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n"))
        if event
    ]


def data_of(stream: bytes) -> list[bytes]:
    """The data of every event that is JSON."""
    found = [
        b"\n".join(
            re.sub(rb"^data: ?", b"", line)
            for line in event.splitlines()
            if line.startswith(b"data")
        )
        for event in events_of(stream)
    ]
    return [data for data in found if data.startswith(b"{")]


def chunk_of(event: bytes) -> dict[str, Any] | None:
    """The chunk of OpenAI's format that an event holds."""
    try:
        chunk = json.loads(b"".join(data_of(event)))
    except ValueError:
        return None
    return chunk if isinstance(chunk.get("choices"), list) else None


def usage_of(stream: bytes) -> dict[str, Any] | None:
    """What the stream says at last, where it is in OpenAI's format."""
    found = [
        chunk["usage"]
        for event in events_of(stream)
        if (chunk := chunk_of(event)) and chunk.get("usage")
    ]
    return found[-1] if found else None


def with_usage(
    stream: bytes,
    usage: dict[str, Any],
    *,
    everywhere: bool = False,
    at_finish: bool = False,
    alone: bool = False,
) -> bytes:
    """The same pieces, usage being told elsewhere: in every chunk (growing), with the finish, in a
    chunk of its own.
    """
    return b"".join(_moved(events_of(stream), usage, everywhere, at_finish, alone))


def _moved(
    events: list[bytes], usage: dict[str, Any], everywhere: bool, at_finish: bool, alone: bool
) -> Iterator[bytes]:
    chunks = [(chunk_of(event), event) for event in events]
    spoken = [number for number, (chunk, _event) in enumerate(chunks) if chunk and chunk["choices"]]
    for number, (chunk, event) in enumerate(chunks):
        if chunk is None:
            yield event
            continue
        chunk.pop("usage", None)
        if number in spoken and (everywhere or (at_finish and number == spoken[-1])):
            yield _event(
                {
                    **chunk,
                    "usage": usage if number == spoken[-1] else {**usage, "completion_tokens": 1},
                }
            )
        elif number in spoken:
            yield _event(chunk)
        if number == spoken[-1] and alone:
            yield _event({**chunk, "choices": [], "usage": usage})


def _event(chunk: dict[str, Any]) -> bytes:
    return (
        b"data: " + json.dumps(chunk, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"
    )
