"""What a door is: one format that applications speak, over the neutral form of all calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from gateway.dataplane.errors import Refusal
from providers.declaration.spec import Answer, Frame, Operation
from tenants.crypto.keys import Seal

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class CheckedBody:
    """A request's body after validation, and what the relay needs to know of it.

    Attributes:
        as_sent: Whether a provider of the door's format may get it unchanged.
    """

    model: str | None
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    as_sent: bool = True


class NotKept(Enum):
    """Why the response that a request goes on from, or an item that it names, is not at hand."""

    OFF = "off"  # the workspace keeps none
    UNKNOWN = "unknown"  # or no longer kept, or another's
    PARTIAL = "partial"  # what led to it is kept by its provider only


@dataclass(frozen=True, slots=True)
class Asked:
    """What the conversion of a request and the answer to it depend on.

    Attributes:
        body: In the door's format.
        include_usage: Whether the client asked for a stream's usage.
        seal: Encrypts what the client keeps for its workspace.
        unique_id: Of the call; request ids may be repeated by clients.
        previous: The id of the response that the body goes on from, whose items it holds.
        keeps: Whether the answer is kept for later calls.
        not_kept: Why what the body names is not in it.
    """

    body: dict[str, Any]
    include_usage: bool
    seal: Seal
    unique_id: str
    previous: str | None = None
    keeps: bool = False
    not_kept: NotKept = NotKept.OFF


class Carries(Enum):
    """Which reasoning comes back to us in a format's own fields, through all of its clients."""

    NOTHING = "nothing"
    ANTHROPIC = "anthropic"  # and what a model thought as a text
    ALL = "all"


class StreamWriter(Protocol):
    """Writes one stream in a door's format, whole events at a time."""

    def write(self, frames: Sequence[Frame]) -> bytes:
        """Return the events of some frames; none if the client gets nothing of them."""

    def end(self, measured: Mapping[str, Any]) -> bytes:
        """Return what ends a complete stream.

        Args:
            measured: The usage fields of the call's record.
        """

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        """Return what ends a stream that fails."""


class Door(Protocol):
    """One format of requests and answers.

    A module in this folder ends in `DOOR: Final[Door] = ...`, and the table of operations names it.
    A door has no state, opens no socket and knows nothing of routes, credits and records.

    Attributes:
        name: Of its module; providers that speak its format have it in `Provider.dialects`.
        converts: Whether its requests differ from the neutral form.
        marker: The header by which its clients are recognised on any path; empty if there is none.
        forwarded: Headers of a request, in lower case, that a provider of the same format gets.
        heartbeat: The event that keeps a silent stream open.
        keeps: Whether a workspace may have its answers kept for later calls.
    """

    name: str
    converts: bool
    marker: str
    forwarded: frozenset[str]
    heartbeat: bytes
    keeps: bool

    def path_of(self, operation: Operation) -> str:
        """Return the path of an operation below /v1/."""

    def read(self, operation: Operation, body: Any) -> CheckedBody:
        """Check a parsed JSON body, which stays in the door's format.

        Raises:
            Refusal: 400 that names the field.
        """

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        """Convert a checked body to the neutral form, for providers of other formats.

        Raises:
            CannotExpress: The neutral form lacks something; `param` names the field.
        """

    def carries(self, asked: Asked) -> Carries | None:
        """Return what needs no id of a call to come back; None if its calls have no ids."""

    def write(self, answer: Answer, measured: Mapping[str, Any], asked: Asked) -> bytes:
        """Return the body of a whole answer.

        Args:
            answer: Neutral, or with `content` for what is sent as it is.
            measured: The usage fields of the call's record.
        """

    def writer(self, operation: Operation, asked: Asked, *, native: bool) -> StreamWriter:
        """Return the writer of a stream.

        Args:
            native: Whether frames are events of the door's own format, as their provider wrote
                them, instead of neutral chunks.
        """

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        """Return the body of an error."""

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """Return the only event of a stream that began with heartbeats and failed."""

    def id_headers(self, request_id: str) -> Headers:
        """Return the headers that tell the format's clients the request id."""
