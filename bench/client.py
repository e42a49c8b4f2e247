"""A load generator that costs little itself: raw sockets, requests made once, answers counted and
not parsed.

`python -m bench.client JSON` with {"port", "key", "model", "stream", "connections", "calls",
"frames", "spread", "late", "path", "body", "end", "keys", "first"}; prints one line of JSON.
calls: in all. body: fields of the request beside the model. end: what stands in the last bytes of
a stream. late: seconds between a provider's pieces; how much longer clients wait between two is
measured. spread: seconds over which the connections begin. keys: a file of app keys, one a line,
that call in turn, instead of `key`; first: the number of the one that begins.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import uvloop

END = b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends one call after the other."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = b""
        self.began = 0.0
        self.last = 0.0  # when the last piece came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.next()

    def next(self) -> None:
        if self.load.left <= 0:
            self.transport.close()
            return
        self.load.left -= 1
        self.buffer, self.last = b"", 0.0
        self.began = time.perf_counter()
        self.transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        if self.load.rhythm:
            self.note_lateness(data)
        self.buffer = (
            (self.buffer + data)[-self.load.keep :] if self.load.stream else self.buffer + data
        )
        if self.load.stream:
            if self.buffer.endswith(END):
                self.done(self.load.end in self.buffer)
            return
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if found and is_whole(head.lower(), body):
            self.done(head.startswith(b"HTTP/1.1 200"))

    def note_lateness(self, data: bytes) -> None:
        now = time.perf_counter()
        for _number in range(data.count(b"data: {")):
            if self.last:
                self.load.late.append(max(0.0, now - self.last - self.load.rhythm))
            self.last = now

    def done(self, good: bool) -> None:
        self.load.good += good
        self.load.bad += not good
        self.load.times.append(time.perf_counter() - self.began)
        self.next()

    def connection_lost(self, _problem: Exception | None) -> None:
        self.load.gone()


def is_whole(head: bytes, body: bytes) -> bool:
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length) if length else body.endswith(END)


class Load:
    def __init__(self, wanted: dict[str, Any]) -> None:
        question = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
        body: dict[str, Any] = {"model": wanted["model"], **wanted.get("body", question)}
        if wanted.get("stream"):
            body["stream"] = True
        data = json.dumps(body).encode()
        headers = wanted.get("headers", {})
        self.head: bytes = (
            f"POST /v1{wanted.get('path', '/chat/completions')} HTTP/1.1\r\nHost: localhost\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            + "Authorization: Bearer "
        ).encode()
        self.rest = (
            f"\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        keys = Path(wanted["keys"]).read_bytes().split() if "keys" in wanted else []
        self.keys: list[bytes] = keys or [wanted["key"].encode()]
        self.turn: int = wanted.get("first", 0)
        self.stream = bool(wanted.get("stream"))
        self.end = wanted.get("end", "[DONE]").encode()
        self.keep = 4096 if "end" in wanted else 64  # a response ends with a long event
        self.left = wanted["calls"]
        self.connections = wanted["connections"]
        self.spread = wanted.get("spread", 0.0)
        self.port = wanted["port"]
        self.rhythm = wanted.get("late", 0.0)
        self.late: deque[float] = deque()
        self.times: list[float] = []
        self.good = self.bad = 0
        self.open = 0
        self.over = asyncio.Event()

    def request(self) -> bytes:
        key = self.keys[self.turn % len(self.keys)]
        self.turn += 1
        return self.head + key + self.rest

    def gone(self) -> None:
        self.open -= 1
        if not self.open:
            self.over.set()

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        self.open = self.connections
        for _number in range(self.connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
            if self.spread:
                await asyncio.sleep(self.spread / self.connections)
        await self.over.wait()
        seconds = time.perf_counter() - began
        return (
            {"good": self.good, "bad": self.bad, "seconds": seconds}
            | _spread("ms", self.times)
            | _spread("late", list(self.late))
        )


def _spread(name: str, values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    values.sort()
    return {
        f"{name}_p{part}": 1000 * values[min(len(values) - 1, len(values) * part // 100)]
        for part in (50, 99)
    }


if __name__ == "__main__":

    async def main() -> None:
        sys.stdout.write(json.dumps(await Load(json.loads(sys.argv[1])).run()) + "\n")

    uvloop.run(main())
