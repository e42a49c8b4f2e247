"""A local server that plays a provider, OpenAI's and Anthropic's format, and can misbehave.

    python -m tests.fakes.provider --port 9001 [--frames 100] [--delay 0.02]

In tests it runs in a thread of its own: the fixture `fake_provider` gives a FakeProvider. How it
answers is told by a mode, for all calls (`fake.mode = "slow:2"`), for the next calls in order
(`fake.script("status:429:1", "ok")`), by the model's name, the text after "@"
(`model="gpt@status:500"`), which is how a subprocess is told, or by a last message that is "@" and
a mode:

    ok                        a well-formed answer
    status:<code>[:<retry-after>][:<error code>]   an error in the format's shape
    body:<code>:<text>        that status with that body (text/html where it begins with "<")
    slow:<seconds>            the answer after so many seconds
    hold                      the answer when `fake.release()` is called
    drip:<seconds>            the answer byte by byte, so many seconds apart
    waiting:<seconds>         a stream that begins with nothing but comments for so long
    hang                      takes the request and never answers
    close                     takes the request and closes
    break[:<frames>]          closes in the middle of the answer or stream
    error_in_stream           an error frame after the first pieces
    bytes                     a stream sent one byte per write
    crlf, comments, pings, multiline, no_blank_line, no_done      hostile framing of a stream
    endless                   a body or stream that never ends
    long_line                 a line of nine megabytes
    redirect:<url>            307 to that URL
    gzip                      a compressed body nobody asked for; gzip:bomb makes it one of 64 MiB
    html                      a web page with status 200
    large:<MiB>               so many MiB of audio
    and those of tests/fakes/broken.py

Every call is kept: `fake.calls` (method, path, headers, body), also at GET /_calls; POST /_mode
sets the mode, POST /_reset forgets. Made for speed: raw asyncio, bytes made once.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import broken, responses

WORDS = 20  # pieces of text in a stream, by default
TEXT = "Hello from the fake provider."
IMAGE = b"\x89PNG\r\n\x1a\n not really a picture"
SOUND = b"ID3\x04\x00\x00\x00\x00\x00\x00 not really music"
MODELS = (
    "gpt-6-luna",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "whisper-1",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-16k",
    "text-davinci-003",
)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    frames: list[bytes] = field(default_factory=list)  # an event stream where there are any
    headers: tuple[str, ...] = ()


# Answers, by format.


def _usage(pieces: int) -> dict[str, int]:
    return {"prompt_tokens": 9, "completion_tokens": pieces, "total_tokens": 9 + pieces}


def openai_chat(model: str) -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return compact(
        {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": 1790000000,
            "model": model,
            "choices": [choice],
            "usage": _usage(7),
        }
    )


def openai_completion(model: str, prompts: int) -> bytes:
    choices = [
        {"text": TEXT, "index": number, "logprobs": None, "finish_reason": "stop"}
        for number in range(prompts)
    ]
    head = {"id": "cmpl-fake", "object": "text_completion", "created": 1790000000, "model": model}
    return compact({**head, "choices": choices, "usage": _usage(7 * prompts)})


def completion_frames(model: str, pieces: int, with_usage: bool) -> list[bytes]:
    head = {"id": "cmpl-fake", "object": "text_completion", "created": 1790000000, "model": model}
    texts = [(f"word{number} ", None) for number in range(pieces)] + [("", "stop")]
    frames = [
        compact(
            {
                **head,
                "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": end}],
            }
        )
        for text, end in texts
    ]
    if with_usage:
        frames.append(compact({**head, "choices": [], "usage": _usage(pieces)}))
    return [b"data: " + frame for frame in [*frames, b"[DONE]"]]


def speech_frames() -> list[bytes]:
    pieces = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(SOUND[at : at + 4]).decode()}
        for at in range(0, len(SOUND), 4)
    ]
    usage = {"input_tokens": 3, "output_tokens": 11, "total_tokens": 14}
    return [
        b"data: " + compact(event)
        for event in [*pieces, {"type": "speech.audio.done", "usage": usage}]
    ]


def transcript_frames() -> list[bytes]:
    heard = ["What ", "the fake ", "provider heard."]
    events = [{"type": "transcript.text.delta", "delta": piece} for piece in heard]
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 6, "total_tokens": 20}
    return [
        b"data: " + compact(event)
        for event in [
            *events,
            {"type": "transcript.text.done", "text": "".join(heard), "usage": usage},
        ]
    ]


def moderation(body: dict[str, Any]) -> bytes:
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    results = [
        {
            "flagged": "kill" in str(text),
            "categories": {"violence": "kill" in str(text)},
            "category_scores": {"violence": 0.5},
        }
        for text in texts
    ]
    return compact({"id": "modr-fake", "model": body.get("model"), "results": results})


def images(body: dict[str, Any], url: str) -> bytes:
    data = base64.b64encode(IMAGE).decode()
    image = {"url": f"{url}/pictures/1.png"} if url else {"b64_json": data}
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"text_tokens": 8, "image_tokens": 4},
        "output_tokens": 40,
        "total_tokens": 52,
    }
    size = {"size": body.get("size") or "1024x1024", "quality": "low"}
    answer = {"created": 1790000000, "data": [image] * (body.get("n") or 1), **size}
    return compact(answer if url else {**answer, "usage": usage})


def image_frames(name: str) -> list[bytes]:
    data = base64.b64encode(IMAGE).decode()
    usage = {"input_tokens": 12, "output_tokens": 40, "total_tokens": 52}
    head = {"created_at": 1, "size": "1024x1024", "quality": "low", "output_format": "png"}
    events = [
        {"type": f"{name}.partial_image", "b64_json": data, "partial_image_index": 0, **head},
        {"type": f"{name}.completed", "b64_json": data, "usage": usage, **head},
    ]
    return [b"data: " + compact(event) for event in events]


def ranking(body: dict[str, Any]) -> bytes:
    """The longest document is the best; all of them are given back, as vLLM does."""
    documents = [one if isinstance(one, str) else one["text"] for one in body["documents"]]
    results = [
        {"index": number, "document": {"text": text}, "relevance_score": len(text) / 1000}
        for number, text in enumerate(documents)
    ]
    return compact(
        {
            "id": "rerank-fake",
            "model": body.get("model"),
            "results": results,
            "usage": {"total_tokens": 21},
        }
    )


def openai_frames(model: str, pieces: int, with_usage: bool) -> list[bytes]:
    head = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": model,
    }
    tail = {"usage": None} if with_usage else {}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return compact(
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **tail}
        )

    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"content": f"word{number} "}) for number in range(pieces)]
    frames.append(chunk({}, "stop"))
    if with_usage:
        frames.append(compact({**head, "choices": [], "usage": _usage(pieces)}))
    return [b"data: " + frame for frame in [*frames, b"[DONE]"]]


def anthropic_message(model: str) -> bytes:
    usage = {
        "input_tokens": 9,
        "output_tokens": 7,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    content = [{"type": "text", "text": TEXT}]
    message = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
    }
    return compact({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})


def anthropic_frames(model: str, pieces: int) -> list[bytes]:
    message = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": f"word{n} "},
            }
            for n in range(pieces)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": pieces},
        },
        {"type": "message_stop"},
    ]
    return [b"event: " + event["type"].encode() + b"\ndata: " + compact(event) for event in events]


def embeddings(body: dict[str, Any]) -> bytes:
    given = body.get("input")
    count = (
        len(given) if isinstance(given, list) and given and isinstance(given[0], str | list) else 1
    )
    data = [
        {"object": "embedding", "index": number, "embedding": [0.1, 0.2, 0.3]}
        for number in range(count)
    ]
    return compact(
        {
            "object": "list",
            "data": data,
            "model": body.get("model"),
            "usage": {"prompt_tokens": count, "total_tokens": count},
        }
    )


def _asked_for(body: dict[str, Any]) -> str:
    """The mode that the last message asks for."""
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    return content[1:] if isinstance(content, str) and content.startswith("@") else ""


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error_body(anthropic: bool, status: int, code: str, key: str) -> bytes:
    """An error in the format's shape. The text repeats the key, as some servers do: it must never
    be seen further on.
    """
    kind = code or _TYPES.get(status, "api_error")
    message = f"The fake provider says {status} {kind} to {key}"
    if anthropic:
        return compact(
            {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
        )
    return compact(
        {
            "error": {
                "message": message,
                "type": kind,
                "param": None,
                "code": code or _CODES.get(status),
            }
        }
    )


@dataclass
class FakeProvider:
    """The state of one server. frames: pieces of text per stream. delay: seconds before each
    piece. stops: the frames before which a stream waits for `release()`.
    """

    frames: int = WORDS
    delay: float = 0.0
    stops: frozenset[int] = frozenset()
    mode: str = "ok"
    keys: frozenset[str] = frozenset()  # the keys that are accepted; empty: any
    models: tuple[str, ...] = MODELS
    calls: list[Seen] = field(default_factory=list)
    count: int = 0
    open_streams: int = 0
    port: int = 0
    keep_calls: int = 1000
    _script: deque[str] = field(default_factory=deque)
    _releases: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _made: dict[tuple[Any, ...], Reply] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *modes: str) -> None:
        """The modes of the next calls, in order; then `mode` holds again."""
        self._script.extend(modes)

    def release(self) -> None:
        """Let one answer that is held, or one stream that stopped, go on."""
        self._releases.release()

    def reset(self) -> None:
        self.mode, self.count, self.stops = "ok", 0, frozenset()
        self._releases = threading.Semaphore(0)
        self.calls.clear()
        self._script.clear()

    # One connection.

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while seen := await self._read(reader):
                if not await self._answer(seen, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Seen | None:
        try:
            start = await reader.readexactly(1)
            if start == b"\x16":  # a TLS handshake: this server speaks plain http
                return None
            head = start + await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _version = first.split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(method, path, headers, body)

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.path.startswith("/_"):
            return await self._control(seen, writer)
        self.count += 1
        if len(self.calls) < self.keep_calls:
            self.calls.append(seen)
        try:
            parsed = (
                json.loads(seen.body)
                if seen.headers.get("content-type", "").startswith("application/json")
                else {}
            )
        except ValueError:
            parsed = {}
        body = parsed if isinstance(parsed, dict) else {}
        mode = self._mode_of(body, seen)
        return await self._act(mode, seen, body, writer)

    def _mode_of(self, body: dict[str, Any], seen: Seen) -> str:
        if self._script:
            return self._script.popleft()
        named = str(body.get("model", "")).partition("@")[2] or _asked_for(body)
        if not named and self.keys and self._key(seen) not in self.keys:
            return "status:401"
        return named or self.mode

    @staticmethod
    def _key(seen: Seen) -> str:
        bearer = seen.headers.get("authorization", "").removeprefix("Bearer ")
        return seen.headers.get("x-api-key", "") or seen.headers.get("api-key", "") or bearer

    def _reply(self, seen: Seen, body: dict[str, Any]) -> Reply:
        path = seen.path.partition("?")[0]
        model = str(body.get("model", "")).partition("@")[0]
        stream = bool(body.get("stream"))
        if path.endswith("/models"):
            return Reply(body=self._model_list("anthropic-version" in seen.headers))
        if path.endswith("/embeddings"):
            return Reply(body=embeddings(body))
        if path.endswith(("/audio/transcriptions", "/audio/translations")):
            if b'name="stream"\r\n\r\ntrue' in seen.body:
                return Reply(content_type="text/event-stream", frames=transcript_frames())
            return Reply(
                body=compact(
                    {
                        "text": "What the fake provider heard.",
                        "usage": {"type": "duration", "seconds": 2},
                    }
                )
            )
        if path.endswith("/messages/count_tokens"):
            return Reply(body=compact({"input_tokens": 9}))
        if path.endswith(responses.PATH):
            if not stream:
                return self._once(("r",), lambda: Reply(body=compact(responses.response(TEXT))))
            return self._once(
                ("rs", self.frames),
                lambda: Reply(
                    content_type="text/event-stream", frames=responses.events(self.frames)
                ),
            )
        if path.endswith("/messages"):
            if not stream:
                return self._once(("am", model), lambda: Reply(body=anthropic_message(model)))
            return self._once(
                ("as", model, self.frames),
                lambda: Reply(
                    content_type="text/event-stream", frames=anthropic_frames(model, self.frames)
                ),
            )
        if path.endswith("/chat/completions"):
            if not stream:
                return self._once(("om", model), lambda: Reply(body=openai_chat(model)))
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            key = ("os", model, self.frames, usage)
            return self._once(
                key,
                lambda: Reply(
                    content_type="text/event-stream",
                    frames=openai_frames(model, self.frames, usage),
                ),
            )
        if path.endswith("/completions"):
            if stream:
                usage = bool((body.get("stream_options") or {}).get("include_usage"))
                return Reply(
                    content_type="text/event-stream",
                    frames=completion_frames(model, self.frames, usage),
                )
            prompt = body.get("prompt")
            return Reply(
                body=openai_completion(model, len(prompt) if isinstance(prompt, list) else 1)
            )
        if path.endswith("/images/edits"):
            if b'name="stream"\r\n\r\ntrue' in seen.body:
                return Reply(content_type="text/event-stream", frames=image_frames("image_edit"))
            return Reply(body=images(body, ""))
        if path.startswith("/pictures/"):
            return Reply(content_type="image/png", body=IMAGE)
        return self._further(path, body)

    def _further(self, path: str, body: dict[str, Any]) -> Reply:
        """Answers to what is no conversation."""
        if path.endswith("/images/generations"):
            if body.get("stream"):
                frames = image_frames("image_generation")
                return Reply(content_type="text/event-stream", frames=frames)
            named = "by-url" in str(body.get("model"))
            return Reply(body=images(body, self.url if named else ""))
        if path.endswith("/audio/speech"):
            if body.get("stream_format") == "sse":
                return Reply(content_type="text/event-stream", frames=speech_frames())
            return Reply(content_type="audio/mpeg", body=SOUND)
        if path.endswith("/moderations"):
            return Reply(body=moderation(body))
        if path.endswith("/rerank"):
            return Reply(body=ranking(body))
        return Reply(404, body=compact({"detail": "Not Found"}))

    def _once(self, key: tuple[Any, ...], make: Callable[[], Reply]) -> Reply:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _model_list(self, anthropic: bool) -> bytes:
        if anthropic:
            data: list[dict[str, Any]] = [
                {
                    "type": "model",
                    "id": "claude-haiku-4-5",
                    "display_name": "Claude Haiku 4.5",
                    "max_input_tokens": 200000,
                    "max_tokens": 64000,
                }
            ]
            return compact(
                {
                    "data": data,
                    "has_more": False,
                    "first_id": data[0]["id"],
                    "last_id": data[-1]["id"],
                }
            )
        return compact(
            {
                "object": "list",
                "data": [
                    {"id": model, "object": "model", "created": 1, "owned_by": "fake"}
                    for model in self.models
                ],
            }
        )

    # Modes.

    async def _act(
        self, mode: str, seen: Seen, body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> bool:
        name, _, rest = mode.partition(":")
        if name == "ok":
            return await self._send(self._reply(seen, body), writer)
        if name in ("hang", "close"):
            if name == "hang":
                await asyncio.sleep(3600)
            return False
        if name in broken.MODES:
            good = self._reply(seen, body)
            whole = good.body or b"".join(self._framed("", "", good))
            await broken.send(name, broken.Good(whole, good.content_type), writer)
            return False
        if name in ("slow", "hold"):
            await (asyncio.sleep(float(rest)) if name == "slow" else self._released())
            return await self._send(self._reply(seen, body), writer)
        reply = self._special(name, rest, seen, body)
        if reply is not None:
            return await self._send(reply, writer)
        await self._misbehave(name, rest, self._reply(seen, body), writer)
        return False

    def _special(self, name: str, rest: str, seen: Seen, body: dict[str, Any]) -> Reply | None:
        """Modes that are well-formed HTTP."""
        if name == "status":
            status, retry_after, code = [*rest.split(":"), "", ""][:3]
            wait = (f"Retry-After: {retry_after}",) if retry_after else ()
            shape = "anthropic-version" in seen.headers
            return Reply(
                int(status),
                body=error_body(shape, int(status), code, self._key(seen)),
                headers=wait,
            )
        if name == "body":
            status, _, text = rest.partition(":")
            return Reply(
                int(status),
                "text/html" if text.startswith("<") else "application/json",
                text.encode(),
            )
        if name == "html":
            return Reply(
                content_type="text/html; charset=utf-8",
                body=b"<!doctype html><title>Welcome</title><h1>It works!</h1>",
            )
        if name == "large":
            return Reply(content_type="audio/mpeg", body=bytes(int(rest) * 1024 * 1024))
        if name == "redirect":
            return Reply(307, body=b"{}", headers=(f"Location: {rest}",))
        if name == "gzip":
            made = self._reply(seen, body)
            data = made.body or b"".join(self._framed("", "", made))
            data = bytes(64 * 1024 * 1024) if rest == "bomb" else data
            return Reply(body=gzip.compress(data), headers=("Content-Encoding: gzip",))
        return None

    async def _released(self) -> None:
        while not self._releases.acquire(blocking=False):
            await asyncio.sleep(0.01)

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        if reply.frames:
            return await self._send_stream(reply, writer)
        writer.write(self._head(reply, f"Content-Length: {len(reply.body)}") + reply.body)
        await writer.drain()
        return True

    def _head(self, reply: Reply, *more: str) -> bytes:
        lines = (
            f"HTTP/1.1 {reply.status} Fake",
            f"Content-Type: {reply.content_type}",
            "x-request-id: req_fake",
            *reply.headers,
            *more,
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _send_stream(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        self.open_streams += 1
        try:
            writer.write(self._head(reply, "Transfer-Encoding: chunked"))
            for number, frame in enumerate(reply.frames):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if number in self.stops:
                    await self._released()
                writer.write(b"%x\r\n%b\n\n\r\n" % (len(frame) + 2, frame))
                if self.delay:
                    await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.open_streams -= 1
        return True

    async def _misbehave(
        self, name: str, rest: str, reply: Reply, writer: asyncio.StreamWriter
    ) -> None:
        """Modes that need the raw connection; the body ends where the connection does."""
        self.open_streams += 1
        try:
            claimed = (
                (f"Content-Length: {len(reply.body) + 100}",)
                if name == "break" and not reply.frames
                else ()
            )
            writer.write(self._head(reply, "Connection: close", *claimed))
            async for piece in self._pieces(name, rest, reply):
                writer.write(piece)
                await writer.drain()
        finally:
            self.open_streams -= 1

    async def _pieces(self, name: str, rest: str, reply: Reply) -> AsyncIterator[bytes]:
        if name == "endless":
            piece = reply.frames[1] + b"\n\n" if reply.frames else b" " * 65536
            while True:
                yield piece * 100
                await asyncio.sleep(0)
        if name == "long_line":
            yield b"data: " + b"x" * (9 * 1024 * 1024)
            return
        if name == "waiting":
            for _comment in range(round(float(rest) * 10)):
                yield b": keep-alive\n\n"
                await asyncio.sleep(0.1)
        whole = b"".join(self._framed(name, rest, reply)) or reply.body
        if name == "break" and not reply.frames:
            yield whole[: len(whole) // 2]
        elif name in ("drip", "bytes"):
            for number in range(len(whole)):
                yield whole[number : number + 1]
                await asyncio.sleep(float(rest or 0))
        else:
            yield whole

    @staticmethod
    def _framed(name: str, rest: str, reply: Reply) -> Iterator[bytes]:
        """The stream's bytes with the framing that the mode asks for."""
        frames = reply.frames
        if name == "break":
            frames = frames[: int(rest or 3)]
        if name == "no_done":
            frames = [frame for frame in frames if frame != b"data: [DONE]"]
        if name == "error_in_stream":
            error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
            shape = b"event: error\ndata: " if frames[0].startswith(b"event:") else b"data: "
            frames = [*frames[:4], shape + error]
        for number, frame in enumerate(frames):
            last = number == len(frames) - 1
            if name == "comments":
                yield b": a comment\n:another\nretry: 100\nid: 7\n"
            if name == "pings":
                yield (
                    b': ping - 2023-09-01 00:00:00\n\nevent: ping\ndata: {"type": "ping"}\n\n'
                    if frame.startswith(b"event:")
                    else b": ping\n\n"
                )
            if name == "multiline":
                frame = frame.replace(b',"', b',\ndata: "', 1)
            text = frame + (b"" if last and name == "no_blank_line" else b"\n\n")
            yield text.replace(b"\n", b"\r\n") if name == "crlf" else text

    # Control of a subprocess.

    async def _control(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if seen.path == "/_reset":
            self.reset()
        elif seen.path == "/_mode":
            self.mode = seen.body.decode()
        calls = [
            {
                "method": c.method,
                "path": c.path,
                "headers": c.headers,
                "body": c.body.decode("utf-8", "replace"),
            }
            for c in self.calls
        ]
        return await self._send(
            Reply(
                body=compact(
                    {"count": self.count, "open_streams": self.open_streams, "calls": calls}
                )
            ),
            writer,
        )


class Running:
    """A FakeProvider in a thread of its own, for tests. Use as a context manager; gives the
    FakeProvider.
    """

    def __init__(self, fake: FakeProvider) -> None:
        self.fake = fake
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self.fake.serve, "127.0.0.1", 0, limit=32 * 1024 * 1024)
        self.fake.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def __enter__(self) -> FakeProvider:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake provider did not start")
        return self.fake

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


async def main(options: argparse.Namespace) -> None:
    fake = FakeProvider(
        frames=options.frames,
        delay=options.delay,
        mode=options.mode,
        port=options.port,
        keep_calls=options.keep,
    )
    server = await asyncio.start_server(
        fake.serve, options.host, options.port, limit=32 * 1024 * 1024, backlog=4096
    )
    sys.stdout.write(f"fake provider on http://{options.host}:{options.port}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local server that plays a provider.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--frames", type=int, default=WORDS, help="pieces of text per stream")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each piece")
    parser.add_argument("--mode", default="ok")
    parser.add_argument("--keep", type=int, default=1000, help="calls to keep for GET /_calls")
    import uvloop

    uvloop.run(main(parser.parse_args()))
