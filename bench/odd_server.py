"""`python -m bench.odd_server PORT`: a server that answers each call with one of ANSWERS, whatever
servers have ever been seen to send; the model "odd-3" asks for the third.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator

LONGEST = 20.0  # seconds of an answer that has no end


def head(kind: str = "text/event-stream", status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(**changes: object) -> dict[str, object]:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None} | changes
    return {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


END = event(chunk(delta={}, finish_reason="stop")) + b"data: [DONE]\n\n"


def stream(*events: object) -> bytes:
    return head() + b"".join(map(event, events)) + END


def tool(**call: object) -> dict[str, object]:
    return chunk(delta={"tool_calls": [{"function": {"name": "f", "arguments": "{}"}} | call]})


HUGE = "9" * 400
ANSWERS: dict[str, Callable[[], Iterator[bytes]]] = {
    name: (lambda made=made: iter((made,)))  # type: ignore[misc]
    for name, made in {
        "choices null": stream({"choices": None}, chunk()),
        "choices missing": stream({"id": "x"}, chunk()),
        "delta null": stream(chunk(delta=None), chunk()),
        "no message": head("application/json") + b'{"choices":[{"index":0}]}',
        "tool calls without index": stream(tool(id="a"), tool(id="b")),
        "arguments as an object": stream(tool(id="a", function={"name": "f", "arguments": {}})),
        "content as a list": stream(chunk(delta={"content": [{"type": "text", "text": "a"}]})),
        "data null": head() + b"data: null\n\n" + event(chunk()) + END,
        "not UTF-8": head() + b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n' + END,
        "half a surrogate": head()
        + b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
        + END,
        "NaN": head() + b'data: {"choices":[{"delta":{"content":"a"},"x":NaN}]}\n\n' + END,
        "a line of 7 MiB": stream(chunk(delta={"content": "a" * (7 << 20)})),
        "a line of 40 MiB": head() + b"data: " + b"a" * (40 << 20),
        "carriage returns": stream(chunk()).replace(b"\n", b"\r"),
        "no end": head() + event(chunk()),
        "events labelled JSON": head("application/json") + event(chunk()) + END,
        "JSON for a stream": head("application/json")
        + b'{"choices":[{"message":{"content":"a"}}]}',
        "gzip": head("application/json", "200 OK", "Content-Encoding: gzip")
        + gzip.compress(b'{"choices":[{"message":{"content":"a"}}]}'),
        "gzip bomb": head("application/json", "200 OK", "Content-Encoding: gzip")
        + gzip.compress(b" " * (64 << 20)),
        "web page": head("text/html", "502 Bad Gateway") + b"<html>" + b"<p>" * 20000,
        "error of 8 MiB": head("application/json", "500 X")
        + b'{"error":"'
        + b"a" * (8 << 20)
        + b'"}',
        "error of blanks": head("text/plain", "400 X") + b" \n" * (1 << 20),
        "error in a list": head("application/json", "429 X") + b'[{"error":{"message":"slow"}}]',
        "detail as an object": head("application/json", "422 X") + b'{"detail":{"message":"no"}}',
        "error in mid-stream": head() + event(chunk()) + event({"error": {"message": "busy"}}),
        "usage beyond all bounds": stream(chunk())[: -len(END)]
        + b'data: {"choices":[],"usage":{"prompt_tokens":'
        + HUGE.encode()
        + b',"completion_tokens":-7}}\n\n'
        + END,
        "deep JSON": head("application/json") + b'{"a":' * 50000,
        "many values": head("application/json") + b'{"choices":[' + b"1," * (4 << 20) + b"1]}",
        "long header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n",
        "many headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50000 + b"\r\n",
        "early hints": b"HTTP/1.1 103 X\r\n\r\n" * 20000,
        "no HTTP": b"\0" * 4096,
        "nothing": b"",
        "cut head": b"HTTP/1.1 200 OK\r\nContent-Le",
        "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"A: b\r\n" * 50000,
        "a byte a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: text/event-stream\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in event(chunk()) + END)
        + b"0\r\n\r\n",
    }.items()
}


def endless(start: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield start
        while True:
            yield piece

    return pieces


ANSWERS |= {
    "comments without end": endless(head(), b": ping\n\n" * 1000),
    "empty events without end": endless(head(), event({"choices": []}) * 200),
    "text without end": endless(head(), event(chunk()) * 50),
    "headers without end": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000),
    "silence": endless(head(), b""),
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request, whose model names the answer, and give it."""
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        length = int(request.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        name = list(ANSWERS)[int(json.loads(await reader.readexactly(length))["model"][4:])]
        until = time.monotonic() + LONGEST
        for piece in ANSWERS[name]():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0 if piece else 0.5)  # as fast as they are taken
            if time.monotonic() > until:
                break
    except (OSError, asyncio.IncompleteReadError):
        pass  # the caller has left
    finally:
        writer.close()


async def serve(port: int) -> None:
    async with await asyncio.start_server(answer, "127.0.0.1", port, limit=1 << 24) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
