"""The end of a call: recorded once its row is written, and the same end whoever interrupts it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from gateway.dataplane.attempts import Call
from gateway.dataplane.relay import Relay
from gateway.dataplane.requests.request import GatewayRequest, Presence
from gateway.dataplane.routing.routes import Routes
from providers.declaration.spec import Operation
from quotas.ledger.states import Finish, HoldResult, HoldState
from tenants.auth.principal import Principal


class Ledger:
    """A store that keeps what it is asked to write. `fail`: raises what it does to the first."""

    def __init__(self, fail: Callable[[], BaseException] | None = None) -> None:
        self.ends: list[Finish] = []
        self._fail = fail

    async def check_recording(self) -> None:
        """Ends can be kept."""

    def intend(self, *_intent: Any) -> None:
        """What is under way needs no note."""

    async def finish(self, end: Finish) -> None:
        self.ends.append(end)
        fail, self._fail = self._fail, None
        if fail is not None:
            raise fail()


def relay_of(ledger: Any) -> Relay:
    upstream: Any = None
    return Relay(store=ledger, upstream=upstream, routes=Routes(), deadline=60)


def call_of() -> Call:
    principal = Principal(
        kind="app_key",
        tenant_id=uuid4(),
        tenant_slug="acme",
        role=None,
        scopes=frozenset(),
        actions=frozenset(),
        user_id=None,
        app_key_id=uuid4(),
        app_key_name="CI",
        label="CI",
        allowed_providers=frozenset(),
        allowed_models=frozenset(),
        config_version=1,
    )
    request = GatewayRequest(principal, Operation.CHAT, "m", {}, "r1")
    call = Call(request, time.monotonic(), time.monotonic() + 60, datetime.now(UTC))
    call.held = HoldResult(HoldState.HELD, uuid4(), 0, 1, 9)
    return call


def test_a_call_is_recorded_once_its_row_is_written() -> None:
    ledger, call = Ledger(), call_of()
    asyncio.run(relay_of(ledger)._finish(call, call.record("ok", 200)))
    assert (call.recorded, call.held, call.ending) == (True, None, None)
    assert [end.record.status for end in ledger.ends] == ["ok"]


def test_an_interrupted_end_is_written_as_it_was() -> None:
    """The first write may have reached the database: the second must change nothing."""
    ledger, call = Ledger(asyncio.CancelledError), call_of()
    held = call.held
    assert held is not None

    async def work() -> None:
        relay = relay_of(ledger)
        with pytest.raises(asyncio.CancelledError):
            await relay._finish(call, call.record("ok", 200))
        assert not call.recorded
        assert call.held is held
        await relay._finish(call, call.record("cancelled", 0, "cancelled"), voided=True)

    asyncio.run(work())
    assert call.recorded
    assert ledger.ends[0] is ledger.ends[1]
    assert (ledger.ends[1].record.status, ledger.ends[1].hold_id) == ("ok", held.hold_id)


def test_an_end_that_cannot_be_written_keeps_no_answer_from_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger, call = Ledger(lambda: OSError("no space left on device")), call_of()

    async def work() -> None:
        relay = relay_of(ledger)
        await relay._finish(call, call.record("ok", 200))

    asyncio.run(work())
    assert not caplog.messages, "the store has logged it"
    assert [end.record.status for end in ledger.ends] == ["ok"]
    assert call.recorded


def test_the_server_stops_or_the_client_leaves() -> None:
    async def work(cancel: Callable[[Presence, asyncio.Task[Any]], None]) -> tuple[bool, bool]:
        async def answer() -> tuple[bool, bool]:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return presence.gone, presence.stopping
            raise AssertionError("not cancelled")

        task = asyncio.ensure_future(answer())
        presence = Presence(task)
        assert not presence.stopping
        await asyncio.sleep(0)
        cancel(presence, task)
        return await task

    assert asyncio.run(work(lambda presence, _task: presence.leave())) == (True, False)
    assert asyncio.run(work(lambda _presence, task: task.cancel() and None)) == (False, True)


def test_a_server_that_stops_while_the_end_is_written_delivers_the_answer() -> None:
    class Stopping(Ledger):
        async def finish(self, end: Finish) -> None:
            await super().finish(end)
            if len(self.ends) == 1:
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
                await asyncio.sleep(0)

    async def work() -> None:
        call.request.presence = Presence(asyncio.current_task())
        await relay_of(ledger)._finish(call, call.record("ok", 200))

    ledger, call = Stopping(), call_of()
    asyncio.run(work())
    assert call.recorded
    assert ledger.ends[0] is ledger.ends[1]
