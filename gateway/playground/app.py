"""The playground's way to the models: Django says who is asking, the gateway answers as it answers
applications.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dataplane.app import Gateway
from gateway.dataplane.requests.http import Headers, Message, Receive, Scope, Send
from gateway.dataplane.runtime import Runtime
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS
from tenants.auth.principal import Principal

# in the scope of the playground's pages: what answers forms that are sent without scripts
RUNTIME: Final = "modelkeep.runtime"
ADMISSION: Final = "modelkeep.admission"  # in the scope of a request that only asks who is there
_PAGE: Final = re.compile(r"/t/[^/]+/playground/(?P<rest>.*)")
_CALL: Final = re.compile(r"call/(?P<operation>[a-z.]+)/")
_UPLOAD: Final = "speech/"
# What tells of a body: the request that asks who is there has none.
_OF_BODIES: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"expect"}
)
# Whatever compresses on the way would wait for more of a stream before it passes anything on.
_UNCHANGED: Final[Headers] = [(b"content-encoding", b"identity")]


@dataclass(slots=True)
class Admission:
    """Filled in by the view behind a call's address, once session, token, membership and role have
    been looked at.
    """

    principal: Principal | None = None


@dataclass(slots=True)
class _Kept:
    """An answer of Django that is looked at before anybody gets it."""

    messages: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        self.messages.append(message)


class Playground:
    """ASGI application in front of Django's, for the playground's addresses.

    A call goes to Django without its body first: the same middleware and the same view decorator
    that guard every page say who it is. Then the gateway takes over, so that streams, holds,
    records and a client that leaves are as they are under /v1. django: for everything else.
    uploads: the same for forms with a recording, which are longer than other forms.
    """

    def __init__(self, gateway: Gateway, runtime: Runtime, *, django: Any, uploads: Any) -> None:
        self._gateway = gateway
        self._runtime = runtime
        self._django = django
        self._uploads = uploads

    def takes(self, path: str) -> bool:
        """Whether this is an address of a playground; path: without the prefix of the
        installation.
        """
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
        if posted and rest == _UPLOAD:
            await self._upload(scope, receive, send)
        else:
            await self._django(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send, operation: Operation) -> None:
        principal, answer = await self._ask(scope)
        if principal is None:
            await _pass_on(answer, send)
        else:
            await self._gateway.call_as(
                principal, operation, scope, receive, send, extra_headers=_UNCHANGED
            )

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A long body is read only of somebody who may send it. The form's token is Django's to
        check, after that.
        """
        path = f"{scope['path'].removesuffix(_UPLOAD)}call/{Operation.TRANSCRIPTION.value}/"
        principal, _answer = await self._ask(
            {**scope, "method": "GET", "path": path, "raw_path": path.encode()}
        )
        if principal is None:
            # What the page itself says to who opens it: it may lead to the login, and from there
            # back to the page.
            await self._django(
                {**scope, "method": "GET", "headers": _without_body(scope)}, _no_body(), send
            )
        else:
            await self._uploads(scope, receive, send)

    async def _ask(self, scope: Scope) -> tuple[Principal | None, _Kept]:
        """Who sent this, in Django's eyes; None where it must not be answered, with what Django
        says to it.
        """
        admission, kept = Admission(), _Kept()
        await self._django(
            {**scope, "headers": _without_body(scope), ADMISSION: admission}, _no_body(), kept.send
        )
        return admission.principal, kept


def _without_body(scope: Scope) -> Headers:
    return [pair for pair in scope["headers"] if pair[0] not in _OF_BODIES]


def _no_body() -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await (
                asyncio.get_running_loop().create_future()
            )  # nobody leaves here: the real connection is watched later
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def _pass_on(answer: _Kept, send: Send) -> None:
    for message in answer.messages:
        await send(message)
