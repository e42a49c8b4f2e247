"""One HTTP request of the data plane: its headers and body, and the way to answer it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from core import strict_json
from core.asgi import large_bodies
from core.asgi.transport_security import strict_transport
from core.ids import is_request_id, new_request_id
from gateway.dataplane.continuity.ids import ids_in
from gateway.dataplane.doors import functions
from gateway.dataplane.doors.interface import CheckedBody, Door, Headers
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.registry import DOORS, Endpoint, door_of
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.requests import schema
from gateway.dataplane.requests.encodings import decompression_of
from gateway.dataplane.requests.held_bodies import HeldBody, held_bodies
from gateway.dataplane.requests.request import KEY_LENGTH, GatewayRequest
from gateway.dataplane.requests.uploads import FILE_LIMIT, read_form
from gateway.dataplane.tracing.interface import Trace
from providers.declaration.spec import Operation, Upload
from providers.operations.columns import FileField
from providers.operations.table import OPERATIONS
from tenants.auth.principal import Principal

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON_LIMIT: Final = 32 * 1024 * 1024  # bytes of a JSON body
FORM_LIMIT: Final = FILE_LIMIT + 1024 * 1024  # bytes of a form: the file, and its other fields
# How much more is read of a body that is refused; nginx passes on 33 MiB (deploy/nginx.conf).
DISCARDED: Final = 34 * 1024 * 1024
SILENCE: Final = 0.5  # seconds
JSON_TYPE: Final = (b"content-type", b"application/json")
# Refusals of a body of which the rest is not read.
_UNREAD: Final = frozenset({"too_large", "too_many_bodies", "server_busy"})
_READ_HEADERS: Final = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"idempotency-key",
        b"x-request-id",
        b"origin",
        b"access-control-request-headers",
        b"traceparent",
        b"tracestate",
        *(door.marker.encode() for door in DOORS.values() if door.marker),
        *(name.encode() for door in DOORS.values() for name in door.forwarded),
    }
)
_EVENTS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_ALWAYS: Final[Headers] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


@dataclass(slots=True)
class HttpExchange:
    """An HTTP request and its response, of which at most one is sent.

    Attributes:
        door: The format that the client expects.
        extra_headers: Sent with every response.
        cors: Sent too; set if the caller is a web page that may read the response.
        started: Whether the response's headers were sent.
        streaming: Whether the response is an event stream that has not ended.
        held: The body, if it is long, until the response has ended.
        principal: Who is calling, once that is known.
        request: The call, once it is read.
        refusal: Why there is no answer, or no whole one.
        streamed: Whether an event stream began.
        trace: The spans of this request, if it is traced.
    """

    scope: Scope
    receive: Receive
    send: Send
    path: str
    headers: dict[str, str]
    request_id: str
    has_client_id: bool  # the request id came with the request
    door: Door = OPENAI
    extra_headers: Headers = field(default_factory=list)
    cors: Headers = field(default_factory=list)
    started: bool = False
    streaming: bool = False
    held: HeldBody | None = None
    principal: Principal | None = None
    request: GatewayRequest | None = None
    refusal: Refusal | None = None
    streamed: bool = False
    trace: Trace | None = None

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.started = True
        all_headers = [
            *_ALWAYS,
            *self.extra_headers,
            *self.cors,
            *headers,
            (b"content-length", b"%d" % len(body)),
            *self._ids(),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": all_headers})
        await self.send({"type": "http.response.body", "body": body})

    async def send_pieces(self, headers: Headers, pieces: AsyncIterator[bytes]) -> None:
        """Send a body of unknown length. What breaks off is an answer without its end."""
        self.started = True
        all_headers = [*_ALWAYS, *self.extra_headers, *self.cors, *headers, *self._ids()]
        await self.send({"type": "http.response.start", "status": 200, "headers": all_headers})
        async for piece in pieces:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.send({"type": "http.response.body", "body": b""})

    async def begin_events(self, headers: Headers) -> None:
        """Begin an event stream."""
        self.started = self.streaming = self.streamed = True
        all_headers = [*_EVENTS, *self.extra_headers, *self.cors, *headers, *self._ids()]
        await self.send({"type": "http.response.start", "status": 200, "headers": all_headers})

    async def end_events(self, chunk: bytes = b"") -> None:
        """Send the last chunk of an event stream."""
        self.streaming = False
        await self.send({"type": "http.response.body", "body": chunk})

    async def refuse(self, refusal: Refusal) -> None:
        """Send an error: as a status or, if an event stream has begun, as its last event."""
        self.refusal = refusal
        if self.streaming:
            await self.end_events(self.door.error_event(refusal, self.request_id))
            return
        headers: Headers = [JSON_TYPE, *refusal.headers]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after))))
        if refusal.final:
            headers.append((b"x-should-retry", b"false"))  # heeded by OpenAI's and Anthropic's SDKs
        if refusal.code in _UNREAD:
            await self._discard()
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await self.answer(refusal.status, headers, self.door.error(refusal, self.request_id))

    async def _discard(self) -> None:
        """Read on: who is still sending when the connection closes sees no answer."""
        left = DISCARDED
        more = True
        with suppress(TimeoutError):
            while more and left > 0:
                message = await asyncio.wait_for(self.receive(), SILENCE)
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)

    def _ids(self) -> Headers:
        request_id = (b"x-request-id", self.request_id.encode())
        return [request_id, *self.door.id_headers(self.request_id)]


def open_exchange(
    scope: Scope, receive: Receive, send: Send, path: str, extra_headers: Headers | None = None
) -> HttpExchange:
    """Wrap an ASGI request. Its id is the client's if that is well formed, else a new one."""
    headers = _read_headers(scope["headers"])
    client_id = headers.get("x-request-id", "")
    has_client_id = client_id != "" and is_request_id(client_id)
    return HttpExchange(
        scope,
        receive,
        send,
        path,
        headers,
        client_id if has_client_id else new_request_id(),
        has_client_id,
        door_of(path, headers),
        [*strict_transport(), *(extra_headers or [])],
    )


def _read_headers(raw: Headers) -> dict[str, str]:
    """Return the headers that are read here. Repeated ones are joined, so that a second app key is
    noticed.
    """
    headers: dict[str, str] = {}
    for name, value in raw:
        if name in _READ_HEADERS:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def read_key(exchange: HttpExchange) -> str:
    """Return the client's Idempotency-Key, or "". Raises Refusal (400)."""
    key = exchange.headers.get("idempotency-key", "")
    if len(key) > KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise bad_request(
            f"Idempotency-Key must be at most {KEY_LENGTH} printable ASCII characters.",
            "Idempotency-Key",
        )
    return key


async def read_request(
    exchange: HttpExchange, principal: Principal, endpoint: Endpoint, model: str = ""
) -> GatewayRequest:
    """Read and check the headers and the body of a call.

    Args:
        model: Named by the path; empty if the body names it.

    Raises:
        Refusal: The request is invalid.
        ConnectionError: The client disconnected.
    """
    key = read_key(exchange)
    content_type = exchange.headers.get("content-type", "")
    operation = endpoint.operation
    file = OPERATIONS[operation].file
    if file is not None and file.as_json is not None and _is_json(content_type):
        file = None
    if file is None and content_type and not _is_json(content_type):
        raise Refusal("unsupported_media_type", "Send the body as application/json.")
    exchange.held = HeldBody(held_bodies, principal.app_key_id or principal.user_id)
    data = await _read_body(exchange, JSON_LIMIT if file is None else FORM_LIMIT)
    checked, upload = await large_bodies.run(
        len(data),
        lambda: _parsed(endpoint, content_type, data, file, model),
        owner=principal.tenant_id,
    )
    door = endpoint.door
    if door is OPENAI and not checked.body.keys().isdisjoint(functions.FIELDS):
        door = functions.DOOR
    return GatewayRequest(
        principal=principal,
        operation=operation,
        model=checked.model,
        body=checked.body,
        request_id=exchange.request_id,
        stream=checked.stream,
        include_usage=checked.include_usage,
        upload=upload,
        key=key,
        # Clients and proxies may repeat a request id; a hold's key must be unique.
        unit_key=f"{exchange.request_id}.{secrets.token_hex(6)}"
        if exchange.has_client_id
        else exchange.request_id,
        size=len(data),
        door=door,
        data=data if door.converts and checked.as_sent else b"",
        headers=forwarded(exchange.headers, door) if door.forwarded else {},
        call_ids=ids_in(data) if operation is Operation.CHAT else frozenset(),
    )


def forwarded(headers: dict[str, str], door: Door) -> dict[str, str]:
    """Return the headers that a provider of the door's format gets. Raises Refusal (400)."""
    forwarded = {name: headers[name] for name in door.forwarded if name in headers}
    for name, value in forwarded.items():
        if not (value.isascii() and value.isprintable()):
            raise bad_request(f"{name} must be printable ASCII characters.", name)
    return forwarded


def _parsed(
    endpoint: Endpoint, content_type: str, data: bytes, file: FileField | None, model: str
) -> tuple[CheckedBody, Upload | None]:
    body: Any
    body, upload = (_read_json(data), None) if file is None else read_form(content_type, data, file)
    if model and isinstance(body, dict):
        body["model"] = model
    return endpoint.door.read(endpoint.operation, body), upload


def _is_json(content_type: str) -> bool:
    kind, _semicolon, options = content_type.lower().partition(";")
    kind = kind.strip()
    charset = options.partition("charset=")[2].strip(' "')
    return (kind == "application/json" or kind.endswith("+json")) and charset in (
        "",
        "utf-8",
        "utf8",
    )


async def read_object(exchange: HttpExchange, limit: int) -> dict[str, Any]:
    """Read a JSON object that calls no model.

    Raises:
        Refusal: The body is invalid or longer than `limit` bytes.
        ConnectionError: The client disconnected.
    """
    content_type = exchange.headers.get("content-type", "")
    if content_type and not _is_json(content_type):
        raise Refusal("unsupported_media_type", "Send the body as application/json.")
    return schema.read_common(_read_json(await _read_body(exchange, limit))).body


async def read_large_object(exchange: HttpExchange, principal: Principal) -> dict[str, Any]:
    """Read a JSON object of many calls, as long as that of one call may be.

    Raises:
        Refusal: The body is invalid or too long, or too many are held already.
        ConnectionError: The client disconnected.
    """
    content_type = exchange.headers.get("content-type", "")
    if content_type and not _is_json(content_type):
        raise Refusal("unsupported_media_type", "Send the body as application/json.")
    exchange.held = HeldBody(held_bodies, principal.app_key_id or principal.user_id)
    data = await _read_body(exchange, JSON_LIMIT)
    body = await large_bodies.run(len(data), lambda: _read_json(data), owner=principal.tenant_id)
    return schema.read_common(body).body


def _read_json(data: bytes) -> Any:
    if not data.strip():
        raise bad_request("The body is empty: send a JSON object.")
    try:
        return strict_json.loads(data)
    except strict_json.BadJSON as error:
        raise bad_request(f"The body cannot be read: {error.message}") from None


async def _read_body(exchange: HttpExchange, limit: int) -> bytes:
    """Read the whole body and decompress it.

    Args:
        limit: Largest size accepted, in bytes, as sent and decompressed.

    Raises:
        Refusal: The body is larger (413), damaged (400), compressed in an unknown way (415), or
            too many are held already.
        ConnectionError: The client disconnected.
    """
    decompression = decompression_of(exchange.headers.get("content-encoding", ""))
    length = exchange.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    body, sent, more = _Body(limit, exchange.held), 0, True
    while more:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client disconnected")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        if decompression is None:
            body.add(chunk)
            continue
        sent += len(chunk)
        if sent > limit:
            raise _too_large(limit)
        for piece in decompression.feed(chunk):
            body.add(piece)
            await asyncio.sleep(0)
    if decompression is not None:
        decompression.finish()
    chunks = body.chunks
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Body:
    """A body as far as it has arrived."""

    __slots__ = ("_held", "_limit", "_size", "chunks")

    def __init__(self, limit: int, held: HeldBody | None) -> None:
        self._limit = limit
        self._held = held
        self._size = 0
        self.chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Keep another part. Raises Refusal (413, or too many bodies are held)."""
        self._size += len(chunk)
        if self._size > self._limit:
            raise _too_large(self._limit)
        if self._held is not None:
            self._held.grow(self._size)
        self.chunks.append(chunk)


def _too_large(limit: int) -> Refusal:
    size = f"{limit // 1024} KiB" if limit < 1024 * 1024 else f"{limit // (1024 * 1024)} MiB"
    return Refusal("too_large", f"The body is larger than {size}.")
