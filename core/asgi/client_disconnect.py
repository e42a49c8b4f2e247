"""Tell views whether the client has disconnected, so that a cancelled check is not saved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from core.errors import ServiceError
from core.logging.access import Application, Message, Receive, Scope, Send
from core.web.request import scope_of


class ClientDisconnect:
    """ASGI middleware that adds an event to each scope and sets it when the client disconnects."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        disconnected = threading.Event()

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                disconnected.set()
            return message

        await self.application({**scope, DISCONNECTED: disconnected}, watched_receive, send)


# Key in the ASGI scope of an event that is set when the client disconnects.
DISCONNECTED: Final = "modelkeep.disconnected"


def disconnect_check(request: HttpRequest) -> Callable[[], None]:
    """Return a `check_connected` callback for services.

    The callback raises ServiceError once the client has disconnected. Under WSGI and in tests,
    where disconnects go undetected, it never does.
    """
    disconnected = scope_of(request).get(DISCONNECTED)

    def check_connected() -> None:
        if disconnected is not None and disconnected.is_set():
            raise ServiceError(
                "cancelled", _("The page was closed before the check finished. Nothing was saved.")
            )

    return check_connected
