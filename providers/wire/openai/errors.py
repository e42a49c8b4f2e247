"""Errors in OpenAI's form, which many servers use: by code, then type, then status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import ErrorMap, Reply
from providers.failures.reasons import Reason
from providers.wire.http import failure_of_status, plain_error, value_of, wait_asked_for

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
    # Anthropic's types, of servers that speak its format too.
    "overloaded_error": Failure.OVERLOADED,
    "rate_limit_error": Failure.RATE_LIMIT,
    "billing_error": Failure.NO_FUNDS,
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


_NO_ERRORS = frozenset({"", "0", "200", "success", "ok", "none"})  # codes, in lower case
_MESSAGES = ("message", "msg", "error_msg", "error_message", "errmsg", "error_description")
_CODES = ("code", "error_code", "errcode", "err_code", "status_code", "status")
# Without these, a body reports no error; most answers have none of them.
_TELLING = frozenset({"error", "errors", "detail", "type", *_MESSAGES})
_ANSWERS = ("choices", "data", "results", "output", "result", "text", "embeddings", "usage")


def error_object(body: Any) -> dict[str, Any] | None:
    """Return the error inside a body.

    Forms: `{"error": {...}}`, `{"error": "text"}`, vLLM's flat object, FastAPI's `detail`, and
    Google's list of one error. An error that says nothing does not count.
    """
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, dict):
        return error if says_something(error) else None
    if isinstance(error, str) and error:
        return {"message": error}
    if body.get("object") == "error" or body.get("type") == "error":
        return body
    return detail_of(body.get("detail") or body.get("errors"))


def _may_report(body: Mapping[str, Any]) -> bool:
    return not body.keys().isdisjoint(_TELLING) or body.get("object") == "error"


def says_something(error: Any) -> bool:
    """Tell whether a field called error reports one."""
    if isinstance(error, dict):
        return any(
            str(value).lower() not in _NO_ERRORS
            for name in ("message", "msg", "code", "type")
            if not isinstance(value := error.get(name), dict | list | None)
        )
    return isinstance(error, str) and error.lower() not in _NO_ERRORS


def detail_of(detail: Any) -> dict[str, Any] | None:
    """Return the error in FastAPI's `detail`: a text, an error, or invalid fields with the path
    of each.
    """
    if isinstance(detail, str) and detail:
        return {"message": detail}
    if isinstance(detail, list) and detail:
        detail = detail[0]
        if isinstance(detail, str):
            return {"message": detail}
    if not isinstance(detail, dict):
        return None
    error = detail["error"] if isinstance(detail.get("error"), dict) else detail
    message = message_of(error)
    path = error.get("loc")
    names = [str(name) for name in path if name != "body"] if isinstance(path, list) else []
    if names:
        return {"message": f"{'.'.join(names)}: {message}", "param": names[0]}
    return {**error, "message": message} if message else None


def message_of(error: Mapping[str, Any]) -> str:
    """Return an error's text, whatever it is called."""
    return next((text for name in _MESSAGES if (text := text_of(error, name))), "")


def generic_error(body: Any, status: int) -> dict[str, Any] | None:
    """Return the error in a body of no known form: what servers and proxies commonly send."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict) or not _may_report(body):
        return None
    return error_object(body) or flat_error(body, status)


def flat_error(body: Any, status: int) -> dict[str, Any] | None:
    """Return the error of a body that is one: a message beside a code that does not mean success.

    A body with status 200 needs both, and nothing of an answer.
    """
    if not isinstance(body, dict):
        return None
    message = message_of(body)
    code = next((text for name in _CODES if (text := text_of(body, name))), "")
    failed = code.lower() not in _NO_ERRORS or body.get("success") is False
    if not message or (status < 400 and (not failed or any(map(body.get, _ANSWERS)))):
        return None
    return {**body, "message": message, "code": code}


def error_in_chat(body: dict[str, Any], data: bytes, errors: ErrorMap) -> ProviderError | None:
    """Return the error that a chunk or a whole answer reports, by itself or in a choice.

    Args:
        data: the body's bytes.
    """
    if _may_report(body) and (
        error_object(body) is not None or ("choices" not in body and flat_error(body, 200))
    ):
        return errors(Reply(200, {}, data)) or ProviderError(
            Failure.ERROR, Reason("stream_error"), status=200
        )
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if "error" in choice and says_something(error := choice["error"]):
            found = errors(Reply(200, {}, orjson.dumps({"error": error})))
            return found or ProviderError(Failure.ERROR, Reason("stream_error"), status=200)
        if choice.get("finish_reason") == "error":
            return ProviderError(Failure.ERROR, Reason("broken_off"), status=200)
    return None


def text_of(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def status_in(status: int, code: str) -> int:
    """Return the status that an error in an answer with status 200 reports as its code."""
    is_status = status < 400 and len(code) == 3 and code.isdecimal() and "400" <= code <= "599"
    return int(code) if is_status else status


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
        body = value_of(reply)
        error = generic_error(body, reply.status)
        if error is None:
            return plain_error(reply) if reply.status >= 400 else None
        code, kind, message = text_of(error, "code"), text_of(error, "type"), message_of(error)
        failure = failure_of(status_in(reply.status, code), code, kind, message, all_codes)
        return ProviderError(
            failure,
            message or Reason("http_status", status=reply.status),
            status=reply.status,
            provider_code=code or kind,
            param=text_of(error, "param") or None,
            retry_after=wait_asked_for(reply),
        )

    return errors
