"""How long a failing credential is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.declaration.errors import Failure, ProviderError

# How long this process leaves a credential alone before it has seen the state that was written.
_REST: Final[Mapping[Failure, float]] = {
    Failure.RATE_LIMIT: 60.0,
    Failure.AUTH: 300.0,
    Failure.NO_FUNDS: 300.0,
}
_LONGEST_REST: Final = 3600.0
NOTED_FAILURES: Final = frozenset({*_REST, Failure.UNREACHABLE, Failure.NOT_AN_API})


def rest_after(error: ProviderError) -> float:
    """Seconds to leave a credential alone; a provider's own word counts for rate limits only."""
    if error.failure is Failure.RATE_LIMIT and error.retry_after is not None:
        return min(max(error.retry_after, 1.0), _LONGEST_REST)
    return _REST.get(error.failure, 0.0)
