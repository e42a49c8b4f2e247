"""A server that plays the provider of one case after the other: its replies in order, to the calls
that the case makes and no others.

The server under test runs `tests.fakes.detour:application`, which sends every call here, whatever
host it is meant for, the address being the path: `/https/api.example.com/v1/chat`. `POST
/_case/<name>` says which case is next, for programs outside of this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from providers.declaration.spec import Reply
from tests.fakes import framing
from tests.fakes.provider import FakeProvider, Seen

_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}


@dataclass
class Scene:
    """calls: (method, URL) as the adapter makes them. replies: what they are answered. slowly: a
    stream byte by byte.
    """

    calls: list[tuple[str, str]]
    replies: list[Reply]
    slowly: bool = False


@dataclass
class Playback(FakeProvider):
    """`complaints`: what was asked that the scene does not know. `played`: calls answered since it
    began.
    """

    scenes: Mapping[str, Scene] = field(default_factory=dict)
    scene: Scene = field(default_factory=lambda: Scene([], []))
    complaints: list[str] = field(default_factory=list)
    played: int = 0

    def begin(self, scene: Scene) -> None:
        self.scene, self.played, self.complaints = scene, 0, []
        self.calls.clear()

    def check(self, answer: str = "") -> None:
        """Every call was made, and none besides. answer: what the client got, for the message."""
        assert not self.complaints, self.complaints
        assert self.played >= len(self.scene.replies), (
            f"{self.played} calls instead of {len(self.scene.replies)}: {answer[:500]}"
        )

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.path.startswith("/_case/"):
            self.begin(self.scenes[seen.path.removeprefix("/_case/")])
            return await self._reply_with(Reply(200, {}, b"{}"), writer)
        self.calls.append(seen)
        return await self._reply_with(self._next(seen), writer)

    def _next(self, seen: Seen) -> Reply:
        scheme, _, rest = seen.path[1:].partition("/")
        asked = (seen.method, f"{scheme}://{rest}")
        # What was answered with an error may be tried again.
        again = (
            self.played >= len(self.scene.replies)
            and bool(self.scene.replies)
            and self.scene.replies[-1].status >= 400
        )
        number = len(self.scene.replies) - 1 if again else self.played
        self.played += 1
        wanted = self.scene.calls[number] if number < len(self.scene.calls) else None
        if _shape(*asked) != (wanted and _shape(*wanted)):
            self.complaints.append(f"call {number + 1} is {asked}, the case makes {wanted}")
            return Reply(418, {"content-type": "text/plain"}, b"This is not the call of the case.")
        return self.scene.replies[number]

    async def _reply_with(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        lines = [f"HTTP/1.1 {reply.status} Played"]
        lines += [
            f"{name}: {value}"
            for name, value in reply.headers.items()
            if name.lower() not in _HOP_BY_HOP
        ]
        streamed = "text/event-stream" in reply.headers.get("content-type", "")
        lines.append(
            "Transfer-Encoding: chunked" if streamed else f"Content-Length: {len(reply.body)}"
        )
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if streamed else reply.body))
        if streamed:
            await self._stream(reply.body, writer)
        await writer.drain()
        return True

    async def _stream(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        cut = framing.each_byte if self.scene.slowly else framing.each_line
        for piece in cut(body):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self.scene.slowly:
                await writer.drain()
                await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")


def _shape(method: str, url: str) -> tuple[str, str, list[str]]:
    """What of a call stays the same from one time to the next: the values of a signed query
    do not.
    """
    parts = urlsplit(url)
    return (
        method,
        f"{parts.scheme}://{parts.netloc}{parts.path}",
        [name for name, _value in parse_qsl(parts.query, keep_blank_values=True)],
    )
