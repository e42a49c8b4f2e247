"""Calls that were under way when their process was killed are recorded all the same, once."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.ids import uuid7
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.intents import FILE, SLOT, Intents
from quotas.ledger.states import Finish

pytestmark = pytest.mark.slow  # a process is killed


def facts(request_id: str, **more: Any) -> dict[str, Any]:
    return {
        "tenant_id": uuid4(),
        "request_id": request_id,
        "time": datetime(2026, 12, 1, 12, tzinfo=UTC),
        "operation": "chat.completions",
        "app_key_id": uuid4(),
        "app_key_name": "Key",
        "user_id": None,
        "scenario": "",
        "provider": "openai",
        "model": "gpt-4o",
        "source": "credential:Main",
        "credential_id": None,
        "stream": True,
    } | more


def killed(folder: Path, noted: dict[UUID, dict[str, Any]], ended: list[UUID]) -> None:
    """A process that dies with calls under way, a fork of one that goes on."""
    intents = Intents(folder)
    child = os.fork()
    if not child:
        asyncio.run(intents.open())
        for record_id, values in noted.items():
            intents.note(record_id, values)
        for record_id in ended:
            intents.end(record_id)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    asyncio.run(intents.open())
    intents.close()


def recovered(folder: Path, *, fail: Exception | None = None) -> list[Finish]:
    seen: list[Finish] = []

    async def write(end: Finish) -> None:
        seen.append(end)
        if fail is not None:
            raise fail

    assert asyncio.run(Intents(folder).recover(write)) == len(seen)
    return seen


def test_what_a_killed_process_left_is_recorded_as_unknown(tmp_path: Path) -> None:
    left, again, ended = uuid7(), uuid7(), uuid7()
    noted = {left: facts("left"), again: facts("again", model="first"), ended: facts("ended")}
    killed(tmp_path, noted, [ended])
    by_request = {end.record.request_id: end for end in recovered(tmp_path)}
    assert set(by_request) == {"left", "again"}
    end = by_request["left"]
    assert (end.hold_id, end.record.id) == (None, left)
    record = end.record
    assert (record.status, record.error_code, record.http_status) == ("error", "unknown", 0)
    assert {name: getattr(record, name) for name in noted[left]} == noted[left]
    assert recovered(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_slot_follows_its_call(tmp_path: Path) -> None:
    """A call that is sent to another model is one call, and a freed slot is used again."""
    own = Intents(tmp_path)

    async def work() -> None:
        await own.open()
        first, second = uuid7(), uuid7()
        own.note(first, facts("call", model="one"))
        own.note(first, facts("call", model="two"))
        own.end(first)
        own.end(first)
        own.note(second, facts("next"))
        own.end(second)

    asyncio.run(work())
    assert recovered(tmp_path) == []  # not while its process lives
    assert list(tmp_path.glob(FILE.format("*")))
    own.close()
    assert not list(tmp_path.iterdir())


def test_calls_wait_for_the_database(tmp_path: Path) -> None:
    killed(tmp_path, {uuid7(): facts("left")}, [])
    with pytest.raises(DatabaseUnavailable):
        recovered(tmp_path, fail=DatabaseUnavailable("gone"))
    [end] = recovered(tmp_path)
    assert end.record.request_id == "left"


def test_long_names_are_cut(tmp_path: Path) -> None:
    long = facts("long", model="模" * 200, source="源" * 100, app_key_name="钥" * 80)
    killed(tmp_path, {uuid7(): long}, [])
    [end] = recovered(tmp_path)
    assert len(end.record.model.encode()) < SLOT
    assert long["model"].startswith(end.record.model)


def test_calls_are_made_where_nothing_can_be_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "file"
    folder.write_bytes(b"")
    intents = Intents(folder)
    asyncio.run(intents.open())
    intents.note(record_id := uuid7(), facts("call"))
    intents.end(record_id)
    intents.close()
    assert "can't be noted" in caplog.text
