"""Exceptions of the data plane, and the mapping from provider failures to client errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core import error_codes
from providers.declaration.errors import CannotExpress, Failure, ProviderError

# Failures of the account, not of the request. On a trial, the account is the operator's.
ACCOUNT_FAILURES: Final = frozenset(
    {Failure.AUTH, Failure.PERMISSION, Failure.NO_FUNDS, Failure.RATE_LIMIT}
)
# Sent with a status at which clients try again, which cannot help: people have to act first.
FINAL: Final = frozenset(
    {
        "already_done",
        "credential_unreadable",
        "provider_auth_failed",
        "provider_out_of_funds",
        "provider_permission_denied",
    }
)
_RETRIED: Final = frozenset({408, 409, 425, 429})
# The settings pages distinguish these failures; API clients see a single code.
_CODES: Final[dict[Failure, str]] = {
    Failure.UNREACHABLE: "provider_error",
    Failure.NOT_AN_API: "provider_error",
}


class DatabaseUnavailable(Exception):
    """The database is unreachable or timed out. A write may or may not have been made."""


class DatabaseLocked(DatabaseUnavailable):
    """A lock was not free in time. Nothing was written, and trying again at once would wait too."""


class DatabaseSilent(DatabaseUnavailable):
    """The database did not answer in time."""


class Refusal(Exception):
    """A call that ends without an answer.

    Args:
        code: An error code from core.error_codes.
        message: What happened, what it means and what to do.
        status: The HTTP status; None for the code's default.
        param: The request field at fault.
        retry_after: Seconds.
        final: Whether sending the call again cannot help; None if code and status tell.
        headers: Additional response headers.
        details: What clients of one format act on, for the doors that have a place for it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        final: bool | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = error_codes.status_of(code, status)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        is_retried = self.status >= 500 or self.status in _RETRIED
        self.final = (code in FINAL or not is_retried) if final is None else final
        self.headers = headers
        self.details = details

    @property
    def type(self) -> str:
        return error_codes.error_type(self.status)


def bad_request(message: str, param: str | None = None) -> Refusal:
    return Refusal("invalid_request", message, param=param)


def from_provider(error: ProviderError, *, label: str, trial: bool = False) -> Refusal:
    """Convert a provider's error to the client's error.

    Args:
        label: The provider's display name.
        trial: Whether the call used the operator's account.
    """
    if trial and error.failure in ACCOUNT_FAILURES:
        return Refusal(
            "trial_provider_unavailable",
            f"The trial is unavailable: the operator's {label} account cannot be used right now. "
            f"No credit was used. Try again later, or add your own {label} key.",
            retry_after=error.retry_after,
            final=error.failure is not Failure.RATE_LIMIT,
        )
    code = _CODES.get(error.failure, error.failure.value)
    return Refusal(
        code,
        _told(error, label),
        param=error.param,
        retry_after=error.retry_after,
        details=error.details,
    )


def _told(error: ProviderError, label: str) -> str:
    """Return what clients are told: only the provider's own words follow its name and a colon."""
    if isinstance(error, CannotExpress):
        return f"{error.message} No model of {label} was called."
    if error.reason is not None:
        return f"The call to {label} failed. {error.message}"
    return f"{label}: {error.message}"
