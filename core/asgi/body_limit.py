"""Limit request bodies before Django spools them to disk, which it does before authentication."""

from __future__ import annotations

import json
from typing import Any, Final

from django.utils.translation import gettext as _

from core.api.errors import error_body
from core.asgi.paths import path_of
from core.asgi.transport_security import strict_transport
from core.ids import new_request_id
from core.logging.access import Application, Message, Receive, Scope, Send

# Bytes. Higher than the limits of pages (DATA_UPLOAD_MAX_MEMORY_SIZE) and of the REST API, whose
# error messages are more specific.
BODY_LIMIT: Final = 2 * 1024 * 1024


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware that responds 413 if Content-Length or the received body exceeds the
    limit.
    """

    def __init__(self, application: Application, limit: int = BODY_LIMIT) -> None:
        self.application = application
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        remaining = self.limit

        async def limited_receive() -> Message:
            nonlocal remaining
            message = await receive()
            remaining -= len(message.get("body", b""))
            if remaining < 0:
                raise _TooLarge
            return message

        try:
            if _announced(scope) > self.limit:
                raise _TooLarge
            await self.application(scope, limited_receive, send)
        except _TooLarge:
            await _refuse(scope, send)


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)


async def _refuse(scope: Scope, send: Send) -> None:
    request_id = new_request_id()
    message = _("The request body is too large.")
    is_api = path_of(scope).startswith("/api/")
    body: Any = (
        json.dumps(error_body("too_large", message, request_id=request_id))
        if is_api
        else f"{message}\n"
    )
    headers = [
        (b"content-type", b"application/json" if is_api else b"text/plain; charset=utf-8"),
        (b"connection", b"close"),  # the rest of the body is not read
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
        *strict_transport(),
    ]
    content = body.encode()
    headers.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": content})
