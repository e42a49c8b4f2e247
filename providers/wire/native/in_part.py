"""Formats that a server speaks besides chat completions, at an address of its own, or only in part.

What it does not take there is converted and asked as a chat. A refusal costs nothing, so that no
call is paid for twice; what was refused for good is not tried again for a while.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Final

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    Decoder,
    Exchange,
    MakeExchange,
    ModelFacts,
    Native,
    Provider,
    Reply,
    Request,
)
from providers.failures.context_length import tells_context_length
from providers.wire.http import base_of
from providers.wire.memory import Remembered
from providers.wire.openai.model_list import error_or
from providers.wire.openai.routes import resume
from providers.wire.repairs.requests import repaired

Only = Callable[[Provider, Request, Access], bool]

FORMATS: Final = "formats"  # field of a credential
CHAT_ONLY: Final = "chat"  # its value if everything is to be converted

# Types of the tools that all servers of a format know. Others are built into its inventor's models.
PLAIN_TOOLS: Final[Mapping[str, frozenset[Any]]] = {
    "messages": frozenset({None, "custom"}),
    "responses": frozenset({"function"}),
}
# Name conversations that the format's inventor keeps. Others ignore them and lose what was said.
KEPT_FIELDS: Final = ("thread",)
_NO_ADDRESS: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 501})
_REFUSALS: Final = _NO_ADDRESS | {400, 422}
_CONVERTED: Final = frozenset({Failure.NOT_AN_API, Failure.MODEL_NOT_FOUND, Failure.BAD_REQUEST})

unspoken: Final = Remembered()  # (base URL, format, credential, model or "" for all of them)


def in_part(native: MakeExchange, *, only: Only | None = None) -> MakeExchange:
    """Make the exchange that passes a request on as it is, or else asks it as a chat.

    Args:
        only: Tells whether the format is spoken for a request at all.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        asked = _native_of(request)
        server = (base_of(provider, access), asked.dialect, hash(frozenset(access.values.items())))
        if (
            not _takes(request, access)
            or (only is not None and not only(provider, request, access))
            or (*server, "") in unspoken
            or (*server, request.model) in unspoken
        ):
            return (yield from _as_chat(provider, request, access, facts))
        first = native(provider, request, access, facts)
        call = next(first)
        call.accept |= _REFUSALS
        reply = yield call
        if reply.status not in _REFUSALS:
            return (yield from resume(first, reply))
        first.close()
        refusal = _refusal(reply, provider)
        if refusal.failure is Failure.NOT_AN_API:
            unspoken.add((*server, ""))
        elif refusal.failure is Failure.MODEL_NOT_FOUND:
            unspoken.add((*server, request.model))
        else:
            return (yield from _otherwise(refusal, _as_chat(provider, request, access, facts)))
        return (yield from _as_chat(provider, request, access, facts))

    return exchange


def _native_of(request: Request) -> Native:
    assert request.native is not None, "only for requests in a format of their own"
    return request.native


def _takes(request: Request, access: Access) -> bool:
    """Tell whether a server may be asked in the request's format."""
    if access.values.get(FORMATS) == CHAT_ONLY:
        return False
    if any(request.body.get(name) for name in KEPT_FIELDS):
        return False
    tools = request.body.get("tools")
    plain = PLAIN_TOOLS[_native_of(request).dialect]
    return not isinstance(tools, list) or all(
        isinstance(tool, dict) and tool.get("type") in plain for tool in tools
    )


def _refusal(reply: Reply, provider: Provider) -> ProviderError:
    """Return the error of a refusal after which the request is converted.

    Raises:
        ProviderError: The request would be refused in any format.
    """
    error = error_or(reply, provider)
    if reply.status in _NO_ADDRESS and error.failure is not Failure.MODEL_NOT_FOUND:
        error.failure = Failure.NOT_AN_API
    if error.failure not in _CONVERTED or tells_context_length(error.message):
        raise error
    return error


def _otherwise(refusal: ProviderError, chat: Exchange) -> Exchange:
    """Ask a chat; if that is impossible too, the first refusal names the client's own fields."""
    try:
        return (yield from chat)
    except ProviderError:
        raise refusal from None


def _as_chat(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Generator[Call, Reply, Answer | Decoder]:
    body = _native_of(request).neutral()
    chat = repaired(replace(request, body=body, native=None), unlimited=provider.unlimited)
    return (yield from provider.operations[request.operation](provider, chat, access, facts))


def beside(make: MakeExchange, path: str, *, api: str = "") -> MakeExchange:
    """Make the same exchange at an API beside the one that the base URL names.

    Args:
        path: Of the other API, with its version.
        api: Pattern of what the base URL ends in before its version.
    """
    ending = re.compile(rf"(?:{api})?(?:/v\d+)?$")

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        base = ending.sub("", base_of(provider, access), count=1) + path
        return (yield from make(provider, request, replace(access, base_url=base), facts))

    return exchange
