"""Errors in OpenAI's form, which many servers use: by code, then type, then status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import ErrorMap, Reply
from providers.failures.reasons import Reason
from providers.wire.http import failure_of_status, json_or_none, plain_error, wait_asked_for

# https://platform.openai.com/docs/guides/error-codes, and codes of compatible servers.
OPENAI_CODES: dict[str, Failure] = {
    "invalid_api_key": Failure.AUTH,
    "invalid_authentication": Failure.AUTH,
    "account_deactivated": Failure.AUTH,
    "insufficient_permissions": Failure.PERMISSION,
    "unsupported_country_region_territory": Failure.PERMISSION,
    "insufficient_quota": Failure.NO_FUNDS,
    "billing_hard_limit_reached": Failure.NO_FUNDS,
    "billing_not_active": Failure.NO_FUNDS,
    "credit_balance_exhausted": Failure.NO_FUNDS,
    "organization_spend_limit_exceeded": Failure.NO_FUNDS,
    "project_spend_limit_exceeded": Failure.NO_FUNDS,
    "organization_usage_limit_exceeded": Failure.NO_FUNDS,
    "context_length_exceeded": Failure.CONTEXT_LENGTH,
    "string_above_max_length": Failure.CONTEXT_LENGTH,
    "content_policy_violation": Failure.CONTENT_FILTER,
    "moderation_blocked": Failure.CONTENT_FILTER,
    "invalid_prompt": Failure.CONTENT_FILTER,
    "content_filter": Failure.CONTENT_FILTER,
    "model_not_found": Failure.MODEL_NOT_FOUND,
    "rate_limit_exceeded": Failure.RATE_LIMIT,
    "slow_down": Failure.RATE_LIMIT,
    "server_error": Failure.ERROR,
    "server_overloaded": Failure.OVERLOADED,
    "engine_overloaded": Failure.OVERLOADED,
}
# Texts that say more than code and status: compatible servers often leave the code empty.
_TEXTS: tuple[tuple[re.Pattern[str], frozenset[int], Failure], ...] = (
    (
        re.compile(
            r"maximum context length|context window|context_length|maximum model length|longer "
            r"than the model's context",
            re.I,
        ),
        frozenset({200, 400, 413, 422, 500}),
        Failure.CONTEXT_LENGTH,
    ),
    (re.compile(r"request too large", re.I), frozenset({429}), Failure.BAD_REQUEST),
    (
        re.compile(
            # Atomic, so that a text is read once, however often it says "model".
            r"\A(?>.*?\bmodel\b).*(?:not found|not exist|no such)|no such model|unknown model",
            re.I | re.S,
        ),
        frozenset({400, 404}),
        Failure.MODEL_NOT_FOUND,
    ),
)


def error_object(body: Any) -> dict[str, Any] | None:
    """Return the error inside a body.

    Forms: `{"error": {...}}`, `{"error": "text"}`, vLLM's flat object, FastAPI's `detail`.
    """
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str) and error:
        return {"message": error}
    if body.get("object") == "error":
        return body
    detail = body.get("detail")
    if isinstance(detail, str):
        return {"message": detail}
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return {"message": text_of(detail[0], "msg")}
    return None


def text_of(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def failure_of(
    status: int, code: str, kind: str, message: str, codes: Mapping[str, Failure]
) -> Failure:
    """Classify an error; its text overrules only vague codes."""
    for pattern, statuses, failure in _TEXTS:
        if (
            status in statuses
            and pattern.search(message)
            and codes.get(code) in (None, Failure.RATE_LIMIT)
        ):
            return failure
    by_code = (
        codes.get(kind)
        if codes.get(kind) is Failure.NO_FUNDS
        else codes.get(code) or codes.get(kind)
    )
    if by_code is not None:
        return by_code
    return failure_of_status(status) if status >= 400 else Failure.ERROR


def openai_errors(codes: Mapping[str, Failure] | None = None) -> ErrorMap:
    """Make an ErrorMap for servers that report errors in OpenAI's form.

    Args:
        codes: the provider's own codes, which take precedence.
    """
    all_codes = {**OPENAI_CODES, **(codes or {})}

    def errors(reply: Reply) -> ProviderError | None:
        error = error_object(json_or_none(reply.body))
        if error is None:
            return plain_error(reply) if reply.status >= 400 else None
        code, kind, message = (
            text_of(error, "code"),
            text_of(error, "type"),
            text_of(error, "message"),
        )
        failure = failure_of(reply.status, code, kind, message, all_codes)
        return ProviderError(
            failure,
            message or Reason("http_status", status=reply.status),
            status=reply.status,
            provider_code=code or kind,
            param=text_of(error, "param") or None,
            retry_after=wait_asked_for(reply),
        )

    return errors
