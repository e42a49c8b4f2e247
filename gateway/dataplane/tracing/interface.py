"""What the data plane asks of tracing, if it is on. It knows no library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.dataplane.attempts import Call
    from gateway.dataplane.measures.outcome import Outcome
    from gateway.dataplane.requests.http import HttpExchange


class Trace(Protocol):
    """The spans of one request."""

    def attempt(self, call: Call) -> Mapping[str, str]:
        """Begin another attempt of a call, and return headers for the provider."""

    def end(self, exchange: HttpExchange, outcome: Outcome) -> None:
        """End the spans when the answer is sent."""


class Tracing(Protocol):
    """Traces the requests of this process."""

    def begin(self, exchange: HttpExchange) -> Trace: ...

    def close(self) -> None:
        """Send what is left. May take seconds."""
