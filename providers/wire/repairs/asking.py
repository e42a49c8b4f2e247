"""Ask again without what a server refuses and the client did not need to send."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any, Final

from providers.declaration.error_bodies import LONGEST_TEXT
from providers.declaration.spec import Call, Provider, Reply, Request
from providers.wire.compatibility import use_system_role
from providers.wire.http import post_json
from providers.wire.memory import Remembered
from providers.wire.openai.model_list import error_or

REFUSALS: Final = frozenset({400, 422})
_NAMES_ROLE: Final = re.compile(r"developer|\broles?\b", re.IGNORECASE)
refused: Final = Remembered()  # (URL, model, credential, what to do without)


def asked(
    provider: Provider,
    url: str,
    headers: Mapping[str, str],
    body: dict[str, Any],
    request: Request,
    *,
    accept: frozenset[int] = frozenset(),
) -> Generator[Call, Reply, Reply]:
    """Send a request, once more if it can do without what the server refuses.

    What a server refused is left out of the next calls as well.

    Args:
        body: to send; its top level is changed.
        request: what the client asked for.
        accept: error statuses that the caller handles.

    Raises:
        ProviderError: the server refuses the request for another reason.
    """
    if refused:
        server = _server(url, headers, request)
        for name in _CHANGES:
            if (server, name) in refused:
                _CHANGES[name](body, request.body)
    taken: list[str] = []
    while True:
        call = post_json(url, dict(headers), body, stream=request.stream)
        call.accept = REFUSALS | accept
        reply = yield call
        if reply.status not in REFUSALS:
            for name in taken:
                refused.add((_server(url, headers, request), name))
            return reply
        error = error_or(reply, provider)
        name = take_back(body, request.body, error.message)
        if not name:
            raise error
        taken.append(name)


def _server(url: str, headers: Mapping[str, str], request: Request) -> Hashable:
    return (url, request.model, hash(frozenset(headers.items())))


def take_back(body: dict[str, Any], asked_for: Mapping[str, Any], message: str) -> str:
    """Change what a refusal names; return the name of the change, or "" if there is none to make.

    That is `stream_options`, which we add to learn the usage, and the role `developer`, OpenAI's
    newer name of `system`.
    """
    message = message[:LONGEST_TEXT]
    names_options = "stream_options" in message or "include_usage" in message
    if names_options and _use_own_options(body, asked_for):
        return "stream_options"
    if _NAMES_ROLE.search(message) and _use_system_role(body, asked_for):
        return "developer"
    return ""


def _use_own_options(body: dict[str, Any], asked_for: Mapping[str, Any]) -> bool:
    """Send the client's `stream_options` only; return whether that changes anything."""
    options = asked_for.get("stream_options")
    if body.get("stream_options") in (None, options):
        return False
    del body["stream_options"]
    if options is not None:
        body["stream_options"] = options
    return True


def _use_system_role(body: dict[str, Any], _asked_for: Mapping[str, Any]) -> bool:
    if not _has_developer(body.get("messages")):
        return False
    use_system_role(body)
    return True


# Name of a change -> what makes it in a body, and tells whether there was anything to change.
_CHANGES: Final[Mapping[str, Callable[[dict[str, Any], Mapping[str, Any]], bool]]] = {
    "stream_options": _use_own_options,
    "developer": _use_system_role,
}


def _has_developer(messages: Any) -> bool:
    return isinstance(messages, list) and any(
        isinstance(message, dict) and message.get("role") == "developer" for message in messages
    )
