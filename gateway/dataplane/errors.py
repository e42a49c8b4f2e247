"""What a client is told when it gets no answer: one exception, and the one translation of
providers' failures; the database's own.
"""

from __future__ import annotations

from typing import Final

from core import error_codes
from providers.declaration.errors import Failure, ProviderError

# Failures that tell of an account, not of a request: on a trial the account is the operator's.
ACCOUNT_FAILURES: Final = frozenset(
    {Failure.AUTH, Failure.PERMISSION, Failure.NO_FUNDS, Failure.RATE_LIMIT}
)
RETRY_SECONDS: Final = 60.0  # what a rate limit says whose provider did not
# Two meanings that the settings pages tell apart are one to clients of the API.
_CODES: Final[dict[Failure, str]] = {
    Failure.UNREACHABLE: "provider_error",
    Failure.NOT_AN_API: "provider_error",
}


class DatabaseAway(Exception):
    """The database cannot be reached, or did not answer in time. Whether a write was made is not
    known.
    """


class Refusal(Exception):
    """A call that ends without an answer.

    code: for programs; one of core.error_codes. message: what happened, what it means, what to do.
    status: the HTTP status, where it is not the code's usual one. param: the field of the request
    that is to blame. retry_after: seconds. headers: further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = error_codes.status_of(code, status)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.headers = headers

    @property
    def type(self) -> str:
        return error_codes.error_type(self.status)


def bad_request(message: str, param: str | None = None) -> Refusal:
    return Refusal("invalid_request", message, param=param)


def from_provider(error: ProviderError, *, label: str, trial: bool = False) -> Refusal:
    """The client's view of a provider's failure. label: the provider's name; trial: the account was
    the operator's.
    """
    retry_after = error.retry_after
    if error.failure is Failure.RATE_LIMIT and retry_after is None:
        retry_after = RETRY_SECONDS
    if trial and error.failure in ACCOUNT_FAILURES:
        return Refusal(
            "trial_provider_unavailable",
            f"The trial cannot be served right now: the operator's account at {label} does not "
            f"answer calls. No credit was used. "
            f"Try again later, or add a {label} key of your own.",
            retry_after=retry_after,
        )
    code = _CODES.get(error.failure, error.failure.value)
    return Refusal(code, f"{label}: {error.message}", param=error.param, retry_after=retry_after)
