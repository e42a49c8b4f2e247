"""A call as the relay takes it, and whether its client is still connected."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dataplane.continuity import ids, references
from gateway.dataplane.continuity.requests import Thoughts, provider_ids, with_thoughts
from gateway.dataplane.continuity.stored import StoredResponse, items_of
from gateway.dataplane.doors.interface import Asked, Door, NotKept
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.rates.meter import Admitted
from gateway.dataplane.tracing.interface import Trace
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Operation, Upload
from providers.transport.failures import MALFORMED, malformed
from providers.wire.repairs import exact_json
from quotas.ledger.records import Record
from tenants.auth.principal import Principal
from tenants.crypto.keys import Seal

KEY_LENGTH: Final = 255  # characters of an Idempotency-Key


class Presence:
    """Whether the client is still connected.

    `leave` cancels the call's task, but never inside `with presence:`, which protects statements
    of the ledger whose outcome must be known.
    """

    __slots__ = ("_critical", "_task", "gone")

    def __init__(self, task: asyncio.Task[Any] | None = None) -> None:
        self._task = task
        self._critical = False
        self.gone = False

    def leave(self) -> None:
        self.gone = True
        if not self._critical and self._task is not None:
            self._task.cancel()

    def release(self) -> None:
        """Stop watching: the call is over."""
        self._task = None

    @property
    def stopping(self) -> bool:
        """Whether the call was cancelled although its client is connected: the server stops."""
        return not self.gone and self._task is not None and self._task.cancelling() > 0

    def check(self) -> None:
        """Raise CancelledError if the client has disconnected."""
        if self.gone:
            raise asyncio.CancelledError

    def __enter__(self) -> None:
        self._critical = True

    def __exit__(self, *_error: object) -> None:
        self._critical = False


def key_of(principal: Principal, key: str) -> str:
    """Return what makes a reservation of credits unique.

    A client's Idempotency-Key belongs to its app key: another app key with the same one makes a
    call of its own, and learns nothing of this one.
    """
    owner = principal.app_key_id or principal.user_id
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


@dataclass(slots=True)
class GatewayRequest:
    """A call of the data plane or the playground.

    Attributes:
        model: As the client wrote it; None for the scenario's default.
        body: The request in its door's format.
        door: The format of the request and of its answer.
        data: The body as it was sent; empty if no provider of the door's format may get it so.
        headers: Those that such a provider gets too.
        key: The client's Idempotency-Key, or "".
        unit_key: Stands in for a missing Idempotency-Key; unique for each call.
        size: Bytes of the body as it was sent.
        call_ids: Those in the body that carry reasoning.
        thoughts: What they carry, once they are opened.
        lost: Whether they carry less than they should.
        previous: The kept response that the request goes on from.
        referred: Items of kept responses that the request names, by their ids.
        referred_from: The kept responses that have them.
        not_kept: Why others are not at hand.
        is_native: Whether the answer came in the door's format.
        record: Of its latest attempt, once that has ended.
        admitted: What the call takes of its rates, while it is under way.
        trace: Its spans, if it is traced.
    """

    principal: Principal
    operation: Operation
    model: str | None
    body: dict[str, Any]
    request_id: str
    stream: bool = False
    include_usage: bool = False
    upload: Upload | None = None
    key: str = ""
    unit_key: str = ""
    size: int = 0
    door: Door = OPENAI
    data: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    presence: Presence = field(default_factory=Presence)
    call_ids: frozenset[str] = frozenset()
    thoughts: Thoughts = field(default_factory=dict, repr=False)
    lost: bool = False
    previous: StoredResponse | None = None
    referred: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    referred_from: Sequence[StoredResponse] = field(default=(), repr=False)
    not_kept: NotKept = NotKept.OFF
    is_native: bool = False
    record: Record | None = field(default=None, repr=False)
    admitted: Admitted | None = None
    trace: Trace | None = field(default=None, repr=False)
    _asked: Asked | None = field(default=None, init=False, repr=False)
    _neutral: dict[str, Any] | None = field(default=None, init=False, repr=False)

    @property
    def hold_key(self) -> str:
        """What makes a reservation of credits unique."""
        return key_of(self.principal, self.key) if self.key else self.unit_key

    @property
    def keeps(self) -> bool:
        """Whether the answer is kept for later calls."""
        is_kept = self.door.keeps and self.principal.kept_hours > 0
        return is_kept and self.body.get("store") is not False

    @property
    def given(self) -> Any:
        """The input, with the kept items that it names."""
        return references.resolved(self.body.get("input"), self.referred)

    def asked(self) -> Asked:
        if self._asked is None:
            body, previous = self.body, None
            if self.referred:
                body = {**body, "input": self.given}
            if self.previous is not None:
                previous = str(body["previous_response_id"])
                given = items_of(self.given, self.request_id)
                items = [*self.previous.items, *given]
                body = {**body, "input": items, "previous_response_id": None}
            seal = Seal(self.principal.tenant_id)
            unique_id = self.unit_key or self.request_id
            self._asked = Asked(
                body, self.include_usage, seal, unique_id, previous, self.keeps, self.not_kept
            )
        return self._asked

    def neutral(self) -> dict[str, Any]:
        """Return the body in the neutral form.

        Raises:
            CannotExpress: The neutral form lacks something.
        """
        if self._neutral is None:
            try:
                body = self.door.neutral(self.operation, self.asked())
            except MALFORMED as error:
                raise malformed(error, is_request=True) from None
            if self.thoughts:
                body, self.lost = with_thoughts(body, self.thoughts)
            self._neutral = body
        return self._neutral

    def native_data(self) -> bytes:
        """Return the body as it was sent, but for ids of calls that are ours."""
        if not self.thoughts:
            return self.data
        return ids.with_ids(self.data, provider_ids(self.thoughts))

    def measurable(self) -> dict[str, Any]:
        """Return the body whose size stands for the usage that nobody reported."""
        try:
            return self.neutral()
        except CannotExpress:
            return self.body

    def fingerprint(self) -> str:
        """Return the SHA-256 of the request, in hex, independent of key order and form boundary."""
        digest = hashlib.sha256(self.operation.value.encode())
        if self.door.converts:
            digest.update(self.door.name.encode())
        digest.update(exact_json.dumps(self.body, sort_keys=True))
        if self.upload is not None:
            digest.update(self.upload.data)
        return digest.hexdigest()
