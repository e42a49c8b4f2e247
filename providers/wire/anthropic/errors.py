"""Anthropic's errors (https://docs.anthropic.com/en/api/errors)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Reply
from providers.failures.reasons import Reason
from providers.wire.http import failure_of_status, plain_error, value_of, wait_asked_for
from providers.wire.openai.errors import generic_error, message_of

_TYPES = {
    "invalid_request_error": Failure.BAD_REQUEST,
    "authentication_error": Failure.AUTH,
    "billing_error": Failure.NO_FUNDS,
    "permission_error": Failure.PERMISSION,
    "not_found_error": Failure.MODEL_NOT_FOUND,
    "request_too_large": Failure.BAD_REQUEST,
    "rate_limit_error": Failure.RATE_LIMIT,
    "timeout_error": Failure.TIMEOUT,
    "api_error": Failure.ERROR,
    "overloaded_error": Failure.OVERLOADED,
}
_OF_THE_REQUEST = frozenset({Failure.BAD_REQUEST, Failure.NOT_AN_API})
_WORD = re.compile(r"[a-z0-9_.]{1,64}")
_TEXTS = {
    "invalid_request_error": (
        ("prompt is too long", Failure.CONTEXT_LENGTH),
        ("exceed context limit", Failure.CONTEXT_LENGTH),
        ("credit balance is too low", Failure.NO_FUNDS),
        ("output blocked by content filtering", Failure.CONTENT_FILTER),
    ),
    "rate_limit_error": (("spend_limit_reached", Failure.NO_FUNDS),),
}


def anthropic_errors(reply: Reply) -> ProviderError | None:
    """Map `{"type": "error", "error": {"type", "message"}}`, and what proxies make of it."""
    body = value_of(reply)
    error = generic_error(body, reply.status)
    if error is None:
        return plain_error(reply) if reply.status >= 400 else None
    kind, message = str(error.get("type") or ""), message_of(error)
    searched = f"{message} {error.get('details') or ''}".lower()
    failure = next(
        (meaning for text, meaning in _TEXTS.get(kind, ()) if text in searched), None
    ) or _TYPES.get(kind)
    if kind == "not_found_error" and not message.startswith("model"):
        failure = Failure.NOT_AN_API
    details = None
    if failure in _OF_THE_REQUEST and (details := details_of(error.get("details"))):
        failure = Failure.BAD_REQUEST
    if failure is None:
        failure = failure_of_status(reply.status) if reply.status >= 400 else Failure.ERROR
    wait = wait_asked_for(reply)
    return ProviderError(
        failure,
        message or Reason("status_only", status=reply.status),
        status=reply.status,
        provider_code=kind,
        retry_after=wait,
        details=details,
    )


def unsupported(*features: str) -> dict[str, Any]:
    """Return the details by which Anthropic's SDKs know that a server keeps no conversation.

    They then send all of it with each request.
    """
    return {"error_code": "thread_unsupported_request", "unsupported": list(features)}


def details_of(given: Any) -> dict[str, Any] | None:
    """Return the words of an error's details that its clients act on, and no text."""
    if not isinstance(given, dict) or not _is_word(given.get("error_code")):
        return None
    details: dict[str, Any] = {"error_code": given["error_code"]}
    features = given.get("unsupported")
    if isinstance(features, Sequence) and not isinstance(features, str):
        details["unsupported"] = [name for name in features if _is_word(name)]
    return details


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))
