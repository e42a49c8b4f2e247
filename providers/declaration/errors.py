"""Kinds of provider failures, and which of them the gateway may retry elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from providers.failures.reasons import Reason


class Failure(StrEnum):
    """One member per meaning; the value is its error code (core.error_codes)."""

    AUTH = "provider_auth_failed"
    PERMISSION = "provider_permission_denied"
    NO_FUNDS = "provider_out_of_funds"
    RATE_LIMIT = "provider_rate_limited"
    CONTEXT_LENGTH = "context_length_exceeded"
    CONTENT_FILTER = "content_filter"
    MODEL_NOT_FOUND = "model_not_found"
    OVERLOADED = "provider_overloaded"
    BAD_REQUEST = "invalid_request"
    TIMEOUT = "provider_timeout"
    UNREACHABLE = "provider_unreachable"  # shown to API clients as provider_error
    # a 404 or a web page instead of an API; shown to API clients as provider_error
    NOT_AN_API = "provider_wrong_url"
    ERROR = "provider_error"


# The next target may be tried: all failures that the client itself cannot fix.
FALLBACK: frozenset[Failure] = frozenset(
    {
        Failure.AUTH,
        Failure.PERMISSION,
        Failure.NO_FUNDS,
        Failure.RATE_LIMIT,
        Failure.OVERLOADED,
        Failure.TIMEOUT,
        Failure.UNREACHABLE,
        Failure.NOT_AN_API,
        Failure.ERROR,
    }
)


LONGEST_WAIT = 24 * 3600.0  # seconds


class ProviderError(Exception):
    """A failure at a provider.

    Args:
        failure: Its kind.
        message: The provider's text, or our Reason. Safe to show: shortened and without keys, but
            not escaped.
        status: The provider's HTTP status, if it replied.
        provider_code: The provider's own error code.
        param: The request's field that caused it.
        retry_after: Seconds to wait, if the provider said so; at most LONGEST_WAIT.
        sent: False only if the request certainly was not processed.
        transport: The kind of TransportFailure; empty if a reply arrived.
        details: What clients of the provider's own format act on; safe to show.
    """

    def __init__(
        self,
        failure: Failure,
        message: str | Reason,
        *,
        status: int | None = None,
        provider_code: str = "",
        param: str | None = None,
        retry_after: float | None = None,
        sent: bool = True,
        transport: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = str(message)
        super().__init__(self.message)
        self.failure = failure
        self.reason = message if isinstance(message, Reason) else None
        self.status = status
        self.provider_code = provider_code
        self.param = param
        self.retry_after = None if retry_after is None else min(retry_after, LONGEST_WAIT)
        self.sent = sent
        self.transport = transport
        self.details = details

    @property
    def retryable(self) -> bool:
        """Whether another target may be able to answer the same request."""
        return self.failure in FALLBACK


class CannotExpress(ProviderError):
    """The provider's format cannot express the request; nothing was sent."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(Failure.BAD_REQUEST, message, param=param, sent=False, details=details)
