"""The data plane's ASGI application: everything under /v1/, without a framework."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from contextlib import aclosing
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from core.asgi.heartbeat import Heartbeat
from core.errors import drop_frames
from core.logging.access import LOGGED
from gateway.dataplane import counting
from gateway.dataplane.attempts import CompleteResponse, StreamingResponse
from gateway.dataplane.continuity import endpoints
from gateway.dataplane.doors.interface import Headers
from gateway.dataplane.doors.model_lists import list_of
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.registry import ENDPOINTS, Endpoint
from gateway.dataplane.errors import DatabaseUnavailable, Refusal
from gateway.dataplane.measures import notes, table
from gateway.dataplane.measures.logged import logged_fields
from gateway.dataplane.measures.outcome import outcome_of
from gateway.dataplane.rates import admission, standing
from gateway.dataplane.refusals import (
    content_broken,
    database_unavailable,
    https_required,
    internal_error,
    server_stopping,
    unknown_endpoint,
)
from gateway.dataplane.requests.addresses import (
    COUNT,
    INPUT_ITEMS,
    KEY,
    MODELS,
    Address,
    address_of,
    is_known,
    is_response,
)
from gateway.dataplane.requests.cors import allowing, origin_in, preflight
from gateway.dataplane.requests.http import (
    JSON_TYPE,
    HttpExchange,
    Receive,
    Scope,
    Send,
    open_exchange,
    read_request,
)
from gateway.dataplane.requests.request import Presence
from gateway.dataplane.runtime import Runtime
from gateway.dataplane.stored.resources import resource_of
from gateway.dataplane.threads import in_thread
from providers.declaration.spec import Operation
from tenants.auth.headers import BadCredential, read_header
from tenants.auth.permissions import Action
from tenants.auth.principal import Principal, lookup_digest, principal_from_row
from tenants.crypto import digest_key

logger = logging.getLogger(__name__)


class Gateway:
    """The ASGI application.

    Args:
        runtime: What the calls of this process share.
        log_id: Holds the request id for log lines.
    """

    def __init__(self, runtime: Runtime, log_id: ContextVar[str]) -> None:
        self._runtime = runtime
        self._log_id = log_id

    def __call__(
        self, scope: Scope, receive: Receive, send: Send, path: str
    ) -> Coroutine[Any, Any, None]:
        """Answer one request.

        Args:
            path: One of is_endpoint; the prefix that the server is mounted under is removed.
        """
        address = address_of(path)
        exchange = open_exchange(scope, receive, send, address.path)
        return self._guarded(exchange, self._answer(exchange, address))

    async def call_as(
        self,
        principal: Principal,
        operation: Operation,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        extra_headers: Headers | None = None,
    ) -> None:
        """Answer a call of a principal that is authenticated already, such as a signed-in person.

        Args:
            extra_headers: Sent with every response.
        """
        exchange = open_exchange(scope, receive, send, operation.value, extra_headers)
        await self._guarded(exchange, self._answer_as(exchange, principal, operation))

    async def _guarded(self, exchange: HttpExchange, answer: Awaitable[None]) -> None:
        """Await `answer`, turn what it raises into a response, and leave facts for the log."""
        token = self._log_id.set(exchange.request_id)
        if self._runtime.tracing is not None:
            exchange.trace = self._runtime.tracing.begin(exchange)
        try:
            await answer
        except Refusal as refusal:
            drop_frames(refusal)
            await exchange.refuse(refusal)
        except DatabaseUnavailable as problem:
            logger.warning("Database unavailable: %s", problem)
            await exchange.refuse(database_unavailable())
        except ConnectionError:
            if exchange.started:
                exchange.refusal = content_broken()
        except Exception:
            logger.exception("Internal error in a call")
            if exchange.started and not exchange.streaming:
                exchange.refusal = internal_error()
                raise
            await exchange.refuse(internal_error())
        finally:
            if exchange.held is not None:
                exchange.held.release()
            outcome = outcome_of(exchange)
            exchange.scope.setdefault(LOGGED, {}).update(logged_fields(exchange, outcome))
            notes.call_ended(exchange, outcome)
            if exchange.trace is not None:
                exchange.trace.end(exchange, outcome)
            self._log_id.reset(token)

    async def _answer_as(
        self, exchange: HttpExchange, principal: Principal, operation: Operation
    ) -> None:
        await self._runtime.ready()
        await self._call(exchange, principal, Endpoint(operation, OPENAI))

    async def _answer(self, exchange: HttpExchange, address: Address) -> None:
        if settings.HTTPS and exchange.scope.get("scheme") != "https":
            raise https_required()
        if not exchange.path:
            await exchange.answer(200, [], b"")
            return
        origin = origin_in(exchange.headers)
        if origin:
            await self._admit(exchange, origin, None)
        endpoint = ENDPOINTS.get(exchange.path)
        method = exchange.scope["method"]
        if not (endpoint or is_known(exchange.path)):
            raise unknown_endpoint(exchange.path)
        is_posted = endpoint is not None or exchange.path == COUNT
        resource = None if is_posted else resource_of(exchange.path)
        allowed = b"POST, OPTIONS" if is_posted else b"GET, HEAD, OPTIONS"
        if is_response(exchange.path) and not exchange.path.endswith(INPUT_ITEMS):
            allowed = b"GET, DELETE, OPTIONS"
        if resource is not None:
            allowed = ", ".join([*resource.methods, "OPTIONS"]).encode()
        if method == "OPTIONS":
            headers: Headers = [(b"allow", allowed)]
            if exchange.cors:
                headers += preflight(exchange.headers, allowed)
            await exchange.answer(204, headers, b"")
        elif method.encode() not in allowed.split(b", "):
            raise Refusal(
                "method_not_allowed",
                f"This endpoint does not support {method}.",
                headers=((b"allow", allowed),),
            )
        else:
            await self._runtime.ready()
            principal = exchange.principal = await self._authenticate(exchange)
            if origin:
                await self._admit(exchange, origin, principal)
            if endpoint is not None:
                await self._call(exchange, principal, endpoint, address.model)
            elif resource is not None:
                await self._tracked(
                    exchange, self._runtime.stored.answer(exchange, principal, resource)
                )
            elif exchange.path == COUNT:
                await self._count(exchange, principal)
            elif is_response(exchange.path):
                runtime = self._runtime
                await self._tracked(
                    exchange,
                    endpoints.answer(exchange, principal, runtime.store, runtime.upstream),
                )
            elif exchange.path == KEY:
                await exchange.answer(200, [JSON_TYPE], orjson.dumps(standing.of(principal)))
            else:
                await self._models(exchange, principal)

    async def _admit(
        self, exchange: HttpExchange, origin: str, principal: Principal | None
    ) -> None:
        """Let a web page read answers if the workspace, or any before it is known, allows it."""
        await self._runtime.ready()
        tenant_id = principal.tenant_id if principal else None
        allows = await self._runtime.store.allows_origin(origin, tenant_id)
        exchange.cors = allowing(origin) if allows else []

    async def _authenticate(self, exchange: HttpExchange) -> Principal:
        """Return who is calling. The key is looked up in the database for every request."""
        try:
            key = read_header(exchange.headers)
            if digest_key.is_loaded():
                digest = lookup_digest(key)
            else:  # this process's first call
                digest = await in_thread(lambda: lookup_digest(key))
            row = await self._runtime.store.principal_row(digest)
            principal = principal_from_row(row, datetime.now(UTC), digest=digest)
        except BadCredential as error:
            headers = ((b"www-authenticate", b"Bearer"),) if error.status == 401 else ()
            raise Refusal(
                error.code, str(error.message), status=error.status, headers=headers
            ) from None
        if not principal.can(Action.USE_MODELS):
            raise Refusal("key_scope", "This app key cannot use models: it lacks the scope “use”.")
        if principal.touch_due and principal.app_key_id is not None:
            self._runtime.notes.key_used(principal.app_key_id)
        return principal

    # -- calls -------------------------------------------------------------------------------------

    async def _call(
        self, exchange: HttpExchange, principal: Principal, endpoint: Endpoint, model: str = ""
    ) -> None:
        exchange.principal = principal
        request = exchange.request = await read_request(exchange, principal, endpoint, model)
        request.trace = exchange.trace
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        presence = request.presence = Presence(task)
        watch = loop.create_task(_watch(exchange.receive, presence))
        heartbeat = _heartbeat(exchange) if request.stream else None
        self._runtime.calls.add(task)
        table.OPEN_CALLS.set(len(self._runtime.calls))
        try:
            answer = await self._runtime.relay.start(request)
            if isinstance(answer, CompleteResponse):
                if heartbeat is not None:
                    await heartbeat.stop()
                await exchange.answer(
                    200, [(b"content-type", answer.content_type), *answer.headers], answer.content
                )
            else:
                await _stream(exchange, answer, heartbeat, presence)
        except asyncio.CancelledError:
            task.uncancel()
            if presence.gone:
                return
            if exchange.streaming or not exchange.started:  # the server is stopping
                if heartbeat is not None:
                    await heartbeat.stop()
                await exchange.refuse(server_stopping())
        finally:
            self._runtime.calls.discard(task)
            table.OPEN_CALLS.set(len(self._runtime.calls))
            admission.release(request)
            presence.release()
            watch.cancel()
            if heartbeat is not None:
                await heartbeat.stop()

    async def _tracked(self, exchange: HttpExchange, answer: Awaitable[None]) -> None:
        """Await an answer about what is stored; a server that stops waits for it."""
        task = asyncio.current_task()
        assert task is not None
        self._runtime.calls.add(task)
        try:
            await answer
        except asyncio.CancelledError:  # the server is stopping
            task.uncancel()
            if not exchange.started:
                raise server_stopping() from None
            exchange.refusal = server_stopping()
        finally:
            self._runtime.calls.discard(task)

    # -- models ------------------------------------------------------------------------------------

    async def _count(self, exchange: HttpExchange, principal: Principal) -> None:
        endpoint = ENDPOINTS[COUNT.rpartition("/")[0]]
        request = await read_request(exchange, principal, endpoint)
        runtime = self._runtime
        counted = await counting.count(request, runtime.routes, runtime.upstream, runtime.store)
        await exchange.answer(200, [JSON_TYPE, *counted.headers], counted.content)

    async def _models(self, exchange: HttpExchange, principal: Principal) -> None:
        entries = await self._runtime.routes.entries(principal)
        models = list_of(exchange.door)
        name = exchange.path[len(MODELS) + 1 :]
        if not name:
            query = exchange.scope.get("query_string", b"").decode("latin-1")
            await exchange.answer(200, [JSON_TYPE], models.page(entries, query))
            return
        matches = [entry for entry in entries if entry.id == name] or [
            entry for entry in entries if entry.model == name
        ]
        if not matches:
            raise Refusal(
                "model_not_found",
                f"There is no model “{name[:120]}” in this workspace.",
                param="model",
            )
        if len(matches) > 1:
            names = ", ".join(entry.id for entry in matches)
            raise Refusal(
                "ambiguous_model",
                f"Several providers have a model “{name}”. Use one of these names: {names}.",
                param="model",
            )
        await exchange.answer(200, [JSON_TYPE], orjson.dumps(models.object(matches[0])))


async def _watch(receive: Receive, presence: Presence) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    presence.leave()


async def _stream(
    exchange: HttpExchange,
    answer: StreamingResponse,
    heartbeat: Heartbeat | None,
    presence: Presence,
) -> None:
    """Send a stream. A server that stops does not cut it off once its end is recorded."""
    assert heartbeat is not None, "only streams are streamed"
    if not exchange.started:
        heartbeat.busy = True
        await exchange.begin_events(answer.headers)
    send = exchange.send
    chunk = b""
    table.OPEN_STREAMS.move(+1)
    try:
        async with aclosing(answer.chunks) as chunks:
            async for chunk in chunks:
                heartbeat.busy = True
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = b""
    except asyncio.CancelledError:
        if presence.gone or not answer.call.ended:
            raise
    finally:
        table.OPEN_STREAMS.move(-1)
    await heartbeat.stop()
    await exchange.end_events(chunk)


def _heartbeat(exchange: HttpExchange) -> Heartbeat:
    """Start the heartbeats of a stream, which begin it if no answer has come yet."""
    event = exchange.door.heartbeat

    async def beat() -> None:
        if not exchange.started:
            await exchange.begin_events([])
        await exchange.send({"type": "http.response.body", "body": event, "more_body": True})

    return Heartbeat(
        beat, first=settings.MODELKEEP_FIRST_HEARTBEAT, most=settings.MODELKEEP_HEARTBEAT
    )
