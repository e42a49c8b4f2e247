"""Ask again without what a server refuses and the client did not need to send."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from providers.declaration.spec import Call, Provider, Reply, Request
from providers.wire.compatibility import use_system_role
from providers.wire.http import post_json
from providers.wire.openai.model_list import error_or

REFUSALS: Final = frozenset({400, 422})
_NAMES_ROLE: Final = re.compile(r"developer|\broles?\b", re.IGNORECASE)


def asked(
    provider: Provider,
    url: str,
    headers: Mapping[str, str],
    body: dict[str, Any],
    request: Request,
) -> Generator[Call, Reply, Reply]:
    """Send a request, once more if it can do without what the server refuses.

    Args:
        body: to send; its top level is changed.
        request: what the client asked for.

    Raises:
        ProviderError: the server refuses the request for another reason.
    """
    while True:
        call = post_json(url, dict(headers), body, stream=request.stream)
        call.accept = REFUSALS
        reply = yield call
        if reply.status not in REFUSALS:
            return reply
        error = error_or(reply, provider)
        if not take_back(body, request.body, error.message):
            raise error


def take_back(body: dict[str, Any], asked_for: Mapping[str, Any], message: str) -> bool:
    """Change what a refusal names; return whether anything was changed.

    That is `stream_options`, which we add to learn the usage, and the role `developer`, OpenAI's
    newer name of `system`.
    """
    names_options = "stream_options" in message or "include_usage" in message
    options = asked_for.get("stream_options")
    if names_options and body.get("stream_options") not in (None, options):
        body.pop("stream_options")
        if options is not None:
            body["stream_options"] = options
        return True
    if _NAMES_ROLE.search(message[:4000]) and _has_developer(body.get("messages")):
        use_system_role(body)
        return True
    return False


def _has_developer(messages: Any) -> bool:
    return isinstance(messages, list) and any(
        isinstance(message, dict) and message.get("role") == "developer" for message in messages
    )
