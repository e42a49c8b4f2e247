"""The data plane's ASGI application: /v1/..., without a framework."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from core import strict_json
from core.ids import is_request_id, new_request_id
from gateway.dataplane.attempts import CompleteResponse, StreamingResponse
from gateway.dataplane.errors import DatabaseAway, Refusal, bad_request
from gateway.dataplane.refusals import database_away, internal_error
from gateway.dataplane.requests import schema
from gateway.dataplane.requests.request import KEY_LENGTH, GatewayRequest, Presence
from gateway.dataplane.requests.uploads import FILE_LIMIT, read_form
from gateway.dataplane.runtime import Runtime
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS
from tenants.auth.headers import BadCredential, read_header
from tenants.auth.key_format import digest
from tenants.auth.permissions import Action
from tenants.auth.principal import Principal, principal_from_row

logger = logging.getLogger(__name__)
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON_LIMIT: Final = 32 * 1024 * 1024  # bytes of a JSON body
FORM_LIMIT: Final = FILE_LIMIT + 1024 * 1024  # bytes of a form: the file, and its other fields
PATHS: Final = {f"/v1/{operation.path}": operation for operation in OPERATIONS}
MODELS: Final = "/v1/models"
_WANTED: Final = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"idempotency-key",
        b"x-request-id",
    }
)
_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_ALWAYS: Final[Headers] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


@dataclass(slots=True)
class _Exchange:
    """One HTTP request and the way to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    path: str
    headers: dict[str, str]
    request_id: str
    taken_over: bool  # the id came with the request
    more: Headers = field(default_factory=list)  # headers of every answer
    started: bool = False

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.started = True
        all_headers = [
            *_ALWAYS,
            *self.more,
            *headers,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": all_headers})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, refusal: Refusal) -> None:
        headers: Headers = [_JSON, *refusal.headers]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after))))
        if refusal.status == 413:
            headers.append((b"connection", b"close"))  # what is left of the body is not read
        await self.answer(refusal.status, headers, schema.error_body(refusal, self.request_id))


class Gateway:
    """The application. service: what the calls share. log_id: the request's id for log lines."""

    def __init__(self, service: Runtime, log_id: ContextVar[str]) -> None:
        self._service = service
        self._log_id = log_id
        self._touched: dict[UUID, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer one request. path: the path without the prefix the server is mounted under,
        beginning with /v1.
        """
        await self._guarded(_exchange(scope, receive, send, path.rstrip("/")), self._answer)

    async def call_as(
        self,
        principal: Principal,
        operation: Operation,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        more: Headers | None = None,
    ) -> None:
        """One call of somebody who is known already, such as a signed-in person. more: headers of
        every answer.
        """

        async def answer(exchange: _Exchange) -> None:
            await self._service.ready()
            await self._call(exchange, principal, operation)

        await self._guarded(_exchange(scope, receive, send, operation.value, more or []), answer)

    async def _guarded(
        self, exchange: _Exchange, answer: Callable[[_Exchange], Awaitable[None]]
    ) -> None:
        """Let `answer` do it, and answer what it raises."""
        token = self._log_id.set(exchange.request_id)
        try:
            await answer(exchange)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except DatabaseAway as problem:
            logger.warning("The database is away: %s", problem)
            await exchange.refuse(database_away())
        except ConnectionError:
            return
        except Exception:
            logger.exception("A call failed by a mistake of ours")
            if exchange.started:
                raise
            await exchange.refuse(internal_error())
        finally:
            self._log_id.reset(token)

    async def _answer(self, exchange: _Exchange) -> None:
        operation = PATHS.get(exchange.path)
        method = exchange.scope["method"]
        if (
            operation is None
            and exchange.path != MODELS
            and not exchange.path.startswith(MODELS + "/")
        ):
            raise Refusal("not_found", "There is no such endpoint here.")
        allowed = b"POST, OPTIONS" if operation else b"GET, HEAD, OPTIONS"
        if method == "OPTIONS":
            # Not answered as a preflight: app keys do not belong into pages of other origins.
            await exchange.answer(204, [(b"allow", allowed)], b"")
        elif method.encode() not in allowed.split(b", "):
            raise Refusal(
                "method_not_allowed",
                f"{method} is not possible here.",
                headers=((b"allow", allowed),),
            )
        else:
            await self._service.ready()
            principal = await self._authenticate(exchange)
            if operation is None:
                await self._models(exchange, principal)
            else:
                await self._call(exchange, principal, operation)

    async def _authenticate(self, exchange: _Exchange) -> Principal:
        """Who is calling; what the key may do is checked against the database at every request."""
        try:
            key = read_header(exchange.headers)
            row = await self._service.store.principal_row(digest(key))
            principal = principal_from_row(row, datetime.now(UTC), key=key)
        except BadCredential as error:
            headers = ((b"www-authenticate", b"Bearer"),) if error.status == 401 else ()
            raise Refusal(
                error.code, str(error.message), status=error.status, headers=headers
            ) from None
        if not principal.can(Action.USE_MODELS):
            raise Refusal("key_scope", "This app key may not use models: it lacks the scope “use”.")
        if principal.touch_due:
            self._touch(principal)
        return principal

    def _touch(self, principal: Principal) -> None:
        """Note the key's last use beside the call, once a minute for each process."""
        key_id, now = principal.app_key_id, time.monotonic()
        if key_id is None or now - self._touched.get(key_id, -60.0) < 60.0:
            return
        if len(self._touched) > 4096:
            self._touched.clear()
        self._touched[key_id] = now
        self._service.note(self._service.store.touch(key_id))

    # -- calls -------------------------------------------------------------------------------------

    async def _call(self, exchange: _Exchange, principal: Principal, operation: Operation) -> None:
        inquiry = await _read_inquiry(exchange, principal, operation)
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        presence = inquiry.presence = Presence(task)
        watch = loop.create_task(_watch(exchange.receive, presence))
        try:
            answer = await self._service.relay.start(inquiry)
            if isinstance(answer, CompleteResponse):
                await exchange.answer(
                    200, [(b"content-type", answer.content_type), *answer.headers], answer.content
                )
            else:
                await self._stream(exchange, answer)
        except asyncio.CancelledError:
            if not presence.gone:
                raise
            task.uncancel()
        finally:
            presence.release()
            watch.cancel()

    async def _stream(self, exchange: _Exchange, answer: StreamingResponse) -> None:
        headers = [
            *_EVENTS,
            *exchange.more,
            *answer.headers,
            (b"x-request-id", exchange.request_id.encode()),
        ]
        send = exchange.send
        exchange.started = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(answer.pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    # -- models ------------------------------------------------------------------------------------

    async def _models(self, exchange: _Exchange, principal: Principal) -> None:
        entries = await self._service.routes.entries(principal)
        wanted = exchange.path[len(MODELS) + 1 :]
        if not wanted:
            objects = [schema.model_object(entry.id, entry.provider) for entry in entries]
            await exchange.answer(200, [_JSON], schema.model_list(objects))
            return
        found = [entry for entry in entries if entry.id == wanted] or [
            entry for entry in entries if entry.model == wanted
        ]
        if not found:
            raise Refusal(
                "model_not_found",
                f"There is no model “{wanted[:120]}” in this workspace.",
                param="model",
            )
        if len(found) > 1:
            names = ", ".join(entry.id for entry in found)
            raise Refusal(
                "ambiguous_model",
                f"Several providers have a model “{wanted}”. Say which one you mean: {names}.",
                param="model",
            )
        await exchange.answer(
            200, [_JSON], orjson.dumps(schema.model_object(found[0].id, found[0].provider))
        )


def _exchange(
    scope: Scope, receive: Receive, send: Send, path: str, more: Headers | None = None
) -> _Exchange:
    headers = _read_headers(scope["headers"])
    given = headers.get("x-request-id", "")
    taken_over = is_request_id(given)
    return _Exchange(
        scope,
        receive,
        send,
        path,
        headers,
        given if taken_over else new_request_id(),
        taken_over,
        more or [],
    )


def _read_headers(raw: Headers) -> dict[str, str]:
    """The headers that count here. One that is there twice is joined: a second key must not pass
    unseen.
    """
    headers: dict[str, str] = {}
    for name, value in raw:
        if name in _WANTED:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _read_inquiry(
    exchange: _Exchange, principal: Principal, operation: Operation
) -> GatewayRequest:
    key = exchange.headers.get("idempotency-key", "")
    if len(key) > KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise bad_request(
            f"Idempotency-Key must be at most {KEY_LENGTH} printable ASCII characters.",
            "Idempotency-Key",
        )
    if exchange.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal("unsupported_media_type", "Send the body without a content encoding.")
    upload = None
    content_type = exchange.headers.get("content-type", "")
    file = OPERATIONS[operation].file
    if file is not None:
        data = await _read_body(exchange, FORM_LIMIT)
        body, upload = read_form(content_type, data, file)
    else:
        if content_type and not _is_json(content_type):
            raise Refusal("unsupported_media_type", "Send the body as application/json.")
        body = _read_json(await _read_body(exchange, JSON_LIMIT))
    asked = schema.read(operation, body)
    return GatewayRequest(
        principal=principal,
        operation=operation,
        model=asked.model,
        body=asked.body,
        request_id=exchange.request_id,
        stream=asked.stream,
        include_usage=asked.include_usage,
        upload=upload,
        key=key,
        # An id that a client or proxy chose may come twice; a hold's key must not.
        unit_key=f"{exchange.request_id}.{secrets.token_hex(6)}"
        if exchange.taken_over
        else exchange.request_id,
    )


def _is_json(content_type: str) -> bool:
    kind, _semicolon, options = content_type.lower().partition(";")
    kind = kind.strip()
    charset = options.partition("charset=")[2].strip(' "')
    return (kind == "application/json" or kind.endswith("+json")) and charset in (
        "",
        "utf-8",
        "utf8",
    )


def _read_json(data: bytes) -> Any:
    try:
        return strict_json.loads(data)
    except strict_json.BadJSON as error:
        raise bad_request(f"The body cannot be read: {error.message}") from None


async def _read_body(exchange: _Exchange, limit: int) -> bytes:
    """The body, as long as it is within the limit. Raises Refusal (413), ConnectionError where the
    client left.
    """
    length = exchange.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> Refusal:
    return Refusal("too_large", f"The body is larger than {limit // (1024 * 1024)} MiB.")


async def _watch(receive: Receive, presence: Presence) -> None:
    """Wait for the client to leave."""
    while (await receive())["type"] != "http.disconnect":
        pass
    presence.leave()
