"""The closed set of what can go wrong at a provider, with what the gateway may do about it."""

from __future__ import annotations

from enum import StrEnum

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
    # a 404 or a web page where an API was expected; to clients provider_error
    NOT_AN_API = "provider_wrong_url"
    ERROR = "provider_error"


# The next target may be tried: everything but what the client itself must change.
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


class ProviderError(Exception):
    """A provider's failure in our words.

    failure: the meaning. message: the provider's words, or a Reason with ours; safe to show (cut,
    escaped by whoever renders it, never holding a key). status: the provider's HTTP status, None
    where no answer came. provider_code: the provider's own code. retry_after: seconds, where the
    provider said so. sent: False only where the request surely was not processed. transport: what
    kept an answer from coming (a kind of TransportFailure), "" where one came.
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
    ) -> None:
        self.message = str(message)
        super().__init__(self.message)
        self.failure = failure
        self.reason = message if isinstance(message, Reason) else None
        self.status = status
        self.provider_code = provider_code
        self.param = param
        self.retry_after = retry_after
        self.sent = sent
        self.transport = transport

    @property
    def retryable(self) -> bool:
        """Whether another target may answer the same request."""
        return self.failure in FALLBACK


class CannotExpress(ProviderError):
    """The request asks for what this provider's format cannot say: refused before anything is sent."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(Failure.BAD_REQUEST, message, param=param, sent=False)
