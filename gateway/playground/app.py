"""The playground's ASGI app: Django authenticates a call, and the gateway serves it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dataplane.app import Gateway
from gateway.dataplane.doors.interface import Headers
from gateway.dataplane.requests.http import Message, Receive, Scope, Send
from gateway.dataplane.runtime import Runtime
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS
from tenants.auth.principal import Principal

# Scope key: the runtime that makes calls for forms submitted without JavaScript.
RUNTIME: Final = "modelkeep.runtime"
# Scope key: set on requests that only authenticate a call.
ADMISSION: Final = "modelkeep.admission"
_PAGE: Final = re.compile(r"/t/[^/]+/playground/(?P<rest>.*)")
_CALL: Final = re.compile(r"call/(?P<operation>[a-z.]+)/")
_UPLOADS: Final = ("speech/", "images/")  # pages with forms for files
# Headers that describe a body; the authentication request has none.
_BODY_HEADERS: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"expect"}
)
# Stop proxies from compressing, since a compressor would buffer the stream.
_UNCHANGED: Final[Headers] = [(b"content-encoding", b"identity")]


@dataclass(slots=True)
class Admission:
    """The principal of a call.

    The call view sets it after checking session, CSRF token, membership and role.
    """

    principal: Principal | None = None


@dataclass(slots=True)
class _BufferedResponse:
    """A response from Django, buffered until the caller decides whether to send it."""

    messages: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        self.messages.append(message)


class Playground:
    """ASGI application in front of Django for the playground's URLs.

    A call first goes to Django without its body, so that the middleware and decorator that guard
    every page authenticate it. Then the gateway takes over, so that streams, holds, records and
    client disconnects work as under /v1.

    Args:
        django: The ASGI application for everything else.
        uploads: The same application with a larger body limit, for forms with files.
    """

    def __init__(self, gateway: Gateway, runtime: Runtime, *, django: Any, uploads: Any) -> None:
        self._gateway = gateway
        self._runtime = runtime
        self._django = django
        self._uploads = uploads

    def takes(self, path: str) -> bool:
        """Return whether a path, without the installation's prefix, belongs to a playground."""
        return _PAGE.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        match = _PAGE.fullmatch(path)
        assert match is not None
        posted, rest = scope["method"] == "POST", match["rest"]
        call = _CALL.fullmatch(rest) if posted else None
        if call is not None and call["operation"] in OPERATIONS:
            await self._call(scope, receive, send, Operation(call["operation"]))
            return
        await self._runtime.ready()
        scope = {**scope, RUNTIME: self._runtime}
        if posted and rest in _UPLOADS:
            await self._upload(scope, receive, send, rest)
        else:
            await self._django(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send, operation: Operation) -> None:
        principal, answer = await self._authenticate(scope)
        if principal is None:
            await _pass_on(answer, send)
        else:
            await self._gateway.call_as(
                principal, operation, scope, receive, send, extra_headers=_UNCHANGED
            )

    async def _upload(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Authorise the sender before reading a long body; Django then checks the CSRF token."""
        # The right to call is the same for all operations.
        path = f"{scope['path'].removesuffix(rest)}call/{Operation.TRANSCRIPTION.value}/"
        principal, _answer = await self._authenticate(
            {**scope, "method": "GET", "path": path, "raw_path": path.encode()}
        )
        if principal is None:
            # Answer as for a GET of the page, which may redirect to the login and back.
            await self._django(
                {**scope, "method": "GET", "headers": _without_body(scope)}, _no_body(), send
            )
        else:
            await self._uploads(scope, receive, send)

    async def _authenticate(self, scope: Scope) -> tuple[Principal | None, _BufferedResponse]:
        """Let Django authenticate a request.

        Returns:
            The principal, or None if the request is refused, and Django's response.
        """
        admission, response = Admission(), _BufferedResponse()
        await self._django(
            {**scope, "headers": _without_body(scope), ADMISSION: admission},
            _no_body(),
            response.send,
        )
        return admission.principal, response


def _without_body(scope: Scope) -> Headers:
    return [pair for pair in scope["headers"] if pair[0] not in _BODY_HEADERS]


def _no_body() -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            # Never report a disconnect; the real connection is watched later.
            await asyncio.get_running_loop().create_future()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def _pass_on(answer: _BufferedResponse, send: Send) -> None:
    for message in answer.messages:
        await send(message)
