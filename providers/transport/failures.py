"""Transport failures: why no complete reply arrived. Pure."""

from __future__ import annotations

import logging
import traceback
from typing import Final, Literal

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.failures.reasons import Reason

logger = logging.getLogger(__name__)

FailureKind = Literal[
    "dns",
    "refused_address",
    "connect",
    "connect_timeout",
    "tls",
    "timeout",
    "broken",
    "too_large",
    "encoding",
    "redirect",
]
_FAILURES: Final[dict[FailureKind, Failure]] = {
    "dns": Failure.UNREACHABLE,
    "refused_address": Failure.NOT_AN_API,
    "connect": Failure.UNREACHABLE,
    "connect_timeout": Failure.UNREACHABLE,
    "tls": Failure.UNREACHABLE,
    "timeout": Failure.TIMEOUT,
    "broken": Failure.ERROR,
    "too_large": Failure.ERROR,
    "encoding": Failure.ERROR,
    "redirect": Failure.NOT_AN_API,
}
# What wires raise when JSON is valid but has an unexpected shape, such as a number instead of an
# object.
MALFORMED = (TypeError, AttributeError, KeyError, IndexError, ValueError)


class TransportFailure(Exception):
    """No complete reply arrived.

    Args:
        kind: What went wrong.
        reason: Our own words. Texts of HTTP libraries may hold header values, so they are never
            passed on.
        sent: Whether the provider may have processed the request.
    """

    def __init__(self, kind: FailureKind, reason: Reason, *, sent: bool) -> None:
        super().__init__(str(reason))
        self.kind: FailureKind = kind
        self.reason = reason
        self.sent = sent


def not_sent(kind: FailureKind) -> TransportFailure:
    """Return a failure before the request was sent, described by the reason of the same name."""
    return TransportFailure(kind, Reason(kind), sent=False)


def sent(kind: FailureKind) -> TransportFailure:
    """Return a failure after the request was sent, described by the reason of the same name."""
    return TransportFailure(kind, Reason(kind), sent=True)


def no_time_left() -> TransportFailure:
    return TransportFailure("timeout", Reason("no_time_left"), sent=False)


def too_large(limit: int) -> TransportFailure:
    """Return the failure for a body above the limit, in bytes."""
    return TransportFailure("too_large", Reason("too_long", most=limit // (1024 * 1024)), sent=True)


def provider_error(failure: TransportFailure) -> ProviderError:
    return ProviderError(
        _FAILURES[failure.kind], failure.reason, sent=failure.sent, transport=failure.kind
    )


def malformed(error: Exception, *, is_request: bool = False) -> ProviderError:
    """Return the provider error for JSON of an unexpected shape.

    The log line names the place in the code and contains no values.
    """
    frames = traceback.extract_tb(error.__traceback__)
    logger.warning(
        "malformed %s: %s in %s",
        "request" if is_request else "reply",
        type(error).__name__,
        frames[-1].name if frames else "?",
    )
    if is_request:
        return CannotExpress("Part of the request has the wrong type.")
    return ProviderError(Failure.ERROR, Reason("unreadable"))
