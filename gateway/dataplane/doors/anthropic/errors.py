"""Errors in Anthropic's format (https://docs.anthropic.com/en/api/errors)."""

from __future__ import annotations

from typing import Any, Final

from gateway.dataplane.errors import Refusal

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_OVERLOADED: Final = "provider_overloaded"
# By these words, Claude Code knows that it must shorten the conversation.
_TOO_LONG: Final = "prompt is too long"


def error_object(refusal: Refusal, request_id: str) -> dict[str, Any]:
    message = refusal.message
    if refusal.code == "context_length_exceeded" and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    error: dict[str, Any] = {"type": _type_of(refusal), "message": message}
    if refusal.details:
        error["details"] = refusal.details
    return {"type": "error", "error": error, "request_id": request_id}


def _type_of(refusal: Refusal) -> str:
    if refusal.code == _OVERLOADED:
        return "overloaded_error"
    default = "invalid_request_error" if refusal.status < 500 else "api_error"
    return _TYPES.get(refusal.status, default)
