"""The ASGI application: the gateway serves /v1/, Django everything else, in one process."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

_django: Any = get_asgi_application()

# These import models, which requires Django to be set up.
from core.asgi.body_limit import BodyLimit  # noqa: E402
from core.asgi.client_disconnect import ClientDisconnect  # noqa: E402
from core.asgi.forwarded import Forwarded  # noqa: E402
from core.asgi.paths import path_of  # noqa: E402
from core.db.connection import limit_statements  # noqa: E402
from core.db.query_times import time_statements  # noqa: E402
from core.logging.access import AccessLog  # noqa: E402
from core.logging.lines import request_id  # noqa: E402
from gateway.dataplane.app import Gateway  # noqa: E402
from gateway.dataplane.requests.addresses import is_endpoint, is_greeting  # noqa: E402
from gateway.dataplane.requests.http import FORM_LIMIT  # noqa: E402
from gateway.dataplane.runtime import Runtime  # noqa: E402
from gateway.playground.app import Playground  # noqa: E402

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

django_application = BodyLimit(ClientDisconnect(_django))
limit_statements()
time_statements()
runtime = Runtime()
gateway = Gateway(runtime, request_id)
playground = Playground(
    gateway, runtime, django=django_application, uploads=BodyLimit(_django, FORM_LIMIT)
)


def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    if scope["type"] == "lifespan":
        return _live(receive, send)
    path = path_of(scope)
    if scope["type"] == "http" and (is_endpoint(path) or is_greeting(path, scope["method"])):
        return gateway(scope, receive, send, path)
    if scope["type"] == "http" and playground.takes(path):
        return playground(scope, receive, send, path)
    return django_application(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Handle the server's startup and shutdown events."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await runtime.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await runtime.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


application = AccessLog(
    Forwarded(serve, settings.FORWARDED_ALLOW_IPS, trust_scheme=settings.TRUSTED_PROXY_HEADER)
)
