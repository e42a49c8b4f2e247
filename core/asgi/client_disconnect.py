"""Tell views whether the client has disconnected, so that a cancelled check is not saved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from core.errors import ServiceError
from core.logging import Application, Message, Receive, Scope, Send
from core.web.request import scope_of


class ClientDisconnect:
    """ASGI middleware: puts an event into the scope of each request, and sets it as soon as the
    client is gone.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        left = threading.Event()

        async def noticed() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                left.set()
            return message

        await self.application({**scope, LEFT: left}, noticed, send)


# in the ASGI scope: an event that is set when the browser hangs up (core/asgi/client_disconnect.py)
LEFT: Final = "modelkeep.left"


def stays(request: HttpRequest) -> Callable[[], None]:
    """For `still_wanted` of a service: raises ServiceError once the browser has given the request
    up.

    Where the server does not notice that (WSGI, tests), everybody stays.
    """
    left = scope_of(request).get(LEFT)

    def still_wanted() -> None:
        if left is not None and left.is_set():
            raise ServiceError(
                "cancelled", _("The page was left before the check had ended. Nothing was saved.")
            )

    return still_wanted
