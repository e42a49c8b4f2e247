"""The access log: one line for each request."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import chain
from typing import Any

from core.logging.lines import loggable_path

access = logging.getLogger("modelkeep.access")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGGED = "modelkeep.logged"  # in a scope: what its application adds to the access line
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class AccessLog:
    """ASGI middleware that logs one line per completed request, except for probes.

    The line has the method, path, status, milliseconds, bytes sent and client address, and what the
    application left in the scope under LOGGED, but no query string or headers.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] in PROBES
            or not access.isEnabledFor(logging.INFO)
        ):
            await self.application(scope, receive, send)
            return
        line = _Line(scope)

        async def watched_send(message: Message) -> None:
            line.see(message)
            await send(message)

        try:
            await self.application(scope, receive, watched_send)
        finally:
            line.write()


class _Line:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.more: dict[str, Any] = scope.setdefault(LOGGED, {})
        self.began = time.perf_counter()
        self.status = 0  # 0 if the client disconnected before the response began
        self.sent = 0
        self.request_id = "-"

    def see(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self.sent += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
            self.request_id = next(
                (
                    value.decode("latin-1")
                    for name, value in reversed(message["headers"])  # it is among the last
                    if name.lower() == b"x-request-id"
                ),
                "-",
            )

    def write(self) -> None:
        path = loggable_path(self.scope["path"])
        took = round((time.perf_counter() - self.began) * 1000, 1)
        address = (self.scope.get("client") or ("-",))[0]
        fields = {
            "method": self.scope["method"],
            "path": path,
            "status": self.status,
            "ms": took,
            "bytes": self.sent,
            "address": address,
        }
        # Built directly: `access.info` would walk the stack for the caller, which is always this
        # line.
        line = logging.LogRecord(
            access.name,
            logging.INFO,
            "",
            0,
            "%s %s %s %s ms %s bytes %s" + " %s=%s" * len(self.more),
            (*fields.values(), *chain.from_iterable(self.more.items())),
            None,
        )
        line.request_id, line.fields = self.request_id, fields | self.more
        access.handle(line)
