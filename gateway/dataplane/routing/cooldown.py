"""Cooldown times for failing credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.declaration.errors import Failure, ProviderError

# Seconds this process skips a credential until it sees the state written to the database.
_COOLDOWNS: Final[Mapping[Failure, float]] = {
    Failure.RATE_LIMIT: 60.0,
    Failure.AUTH: 300.0,
    Failure.NO_FUNDS: 300.0,
}
_LONGEST_COOLDOWN: Final = 3600.0
RECORDED_FAILURES: Final = frozenset({*_COOLDOWNS, Failure.UNREACHABLE, Failure.NOT_AN_API})


def cooldown_seconds(error: ProviderError) -> float:
    """Return the cooldown in seconds; `retry_after` is honoured for rate limits only."""
    if error.failure is Failure.RATE_LIMIT and error.retry_after is not None:
        return min(max(error.retry_after, 1.0), _LONGEST_COOLDOWN)
    return _COOLDOWNS.get(error.failure, 0.0)
