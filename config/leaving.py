"""Lets views that ask a provider know that the browser has hung up meanwhile: a thread cannot be cancelled, but it can look."""

from __future__ import annotations

import threading

from config.logs import Application, Message, Receive, Scope, Send
from providers.leaving import LEFT


class Leaving:
    """ASGI middleware: puts an event into the scope of each request, and sets it as soon as the client is gone."""

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
