"""What the database cannot take is kept on the disk and written later, once."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from core.db.dialect import SQLITE
from core.db.statements import Query, Statements
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.base import Store
from gateway.dataplane.store.spool import (
    FILE,
    MOVED,
    REJECTED,
    RESERVE,
    RESERVED,
    Spool,
    line_of,
)
from gateway.dataplane.store.sqlite import SQLiteDatabase
from quotas.ledger.records import Record
from quotas.ledger.states import Finish


def finish(request_id: str = "r1") -> Finish:
    record = Record(
        tenant_id=uuid4(),
        request_id=request_id,
        operation="chat.completions",
        status="ok",
        cost=Decimal("0.0000012300"),
        attempt_log=[{"ms": 1}],
    )
    return Finish(record, uuid4(), used=1, reason="")


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    kept = [finish("one"), finish("two")]
    seen: list[Finish] = []

    async def work() -> tuple[int, int]:
        spool = Spool(tmp_path)
        for one in kept:
            await spool.append(one)

        async def write(one: Finish) -> None:
            seen.append(one)

        return await spool.replay(write), await spool.replay(write)

    assert asyncio.run(work()) == (2, 0)
    assert seen == kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_nothing_is_dropped_while_the_database_is_away(tmp_path: Path) -> None:
    async def work() -> int:
        spool = Spool(tmp_path)
        await spool.append(finish())

        async def away(_one: Finish) -> None:
            raise DatabaseUnavailable("gone")

        return await spool.replay(away)

    assert asyncio.run(work()) == 0
    assert b"".join(path.read_bytes() for path in tmp_path.glob("spool*")).count(b"\n") == 1


def test_a_line_that_was_cut_off_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b'{"record": {"tena\n')

    async def work() -> int:
        async def write(_one: Finish) -> None:
            raise AssertionError("nothing to write")

        return await Spool(tmp_path).replay(write)

    assert asyncio.run(work()) == 1
    assert (tmp_path / REJECTED).read_bytes() == b'{"record": {"tena\n'
    assert "cannot be written" in caplog.text


def test_the_end_of_a_call_goes_to_the_spool_when_the_database_is_away(tmp_path: Path) -> None:
    async def work() -> None:
        database = SQLiteDatabase(str(tmp_path / "missing" / "db.sqlite3"))
        store = Store(database, Spool(tmp_path))
        await store.open()
        assert await store.finish(finish()) is None
        with pytest.raises(DatabaseUnavailable):
            await store.principal_row("0" * 64)
        await store.close()

    asyncio.run(work())
    assert b'"request_id":"r1"' in (tmp_path / FILE).read_bytes()


def test_steps_that_share_a_commit_fail_alone(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.close()

    def insert(number: int) -> Statements[int]:
        yield Query("INSERT INTO t (id) VALUES (?)", (number,))
        return number

    async def work() -> list[object]:
        database = SQLiteDatabase(str(path))
        await database.open()
        results = await asyncio.gather(
            *(database.run(lambda number=number: insert(number)) for number in (1, 2, 2, 3)),
            return_exceptions=True,
        )
        await database.close()
        return list(results)

    results = asyncio.run(work())
    assert [one for one in results if isinstance(one, int)] == [1, 2, 3]
    assert [type(one) for one in results if not isinstance(one, int)] == [sqlite3.IntegrityError]


def test_a_malformed_database_is_unavailable_until_it_is_restored(tmp_path: Path) -> None:
    """Its file, not the line, is to blame: the spool has to keep the line."""
    path = tmp_path / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    def insert() -> Statements[None]:
        yield Query("INSERT INTO t (id) VALUES (?)", (1,))

    async def work() -> None:
        database = SQLiteDatabase(str(path))
        await database.open()
        with pytest.raises(DatabaseUnavailable):
            await database.run(insert)
        with pytest.raises(DatabaseUnavailable):
            await database.fetch_one("SELECT id FROM t", ())
        path.write_bytes(whole)
        await database.run(insert)
        assert await database.fetch_one("SELECT id FROM t", ()) == (1,)
        await database.close()

    asyncio.run(work())


class Refusing:
    """A database that refuses every statement."""

    dialect = SQLITE

    async def transaction(self, _make: Any, _lock_seconds: float | None = None) -> None:
        raise sqlite3.IntegrityError("CHECK constraint failed")


def test_the_end_of_a_call_that_the_database_refuses_goes_to_the_spool(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider answered and was paid: the client gets the answer, an operator the line."""
    database: Any = Refusing()

    async def work() -> None:
        spool = Spool(tmp_path)
        store = Store(database, spool)
        assert await store.finish(finish()) is None
        assert await spool.replay(store.write) == 1

    asyncio.run(work())
    assert "refused the end of call r1" in caplog.text
    assert b'"request_id":"r1"' in (tmp_path / REJECTED).read_bytes()
    assert (tmp_path / FILE).read_bytes() == b""


def test_what_reaches_no_disk_is_not_said_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    database: Any = Refusing()
    with pytest.raises(OSError, match="directory"):
        asyncio.run(Store(database, Spool(tmp_path)).finish(finish()))


def test_lines_are_taken_while_others_are_replayed(tmp_path: Path) -> None:
    """A database that hangs in a replay holds up no call, here nor in another process."""
    written: list[str] = []

    async def work() -> tuple[int, int]:
        spool, neighbour = Spool(tmp_path), Spool(tmp_path)
        await spool.append(finish("before"))
        goes_on = asyncio.Event()

        async def write(one: Finish) -> None:
            await goes_on.wait()
            written.append(one.record.request_id)

        replay = asyncio.create_task(spool.replay(write))
        while not list(tmp_path.glob(MOVED.format("*"))):
            await asyncio.sleep(0.005)
        async with asyncio.timeout(5):
            await asyncio.gather(spool.append(finish("here")), neighbour.append(finish("there")))
        goes_on.set()
        return await replay, await neighbour.replay(write)

    assert asyncio.run(work()) == (1, 2)
    assert written[0] == "before"
    assert sorted(written[1:]) == ["here", "there"]


def test_a_line_waits_for_no_thread_of_others(tmp_path: Path) -> None:
    goes_on = threading.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        hanging = asyncio.create_task(asyncio.to_thread(goes_on.wait))
        spool = Spool(tmp_path)
        async with asyncio.timeout(5):
            await spool.append(finish())
        goes_on.set()
        await hanging

    asyncio.run(work())
    assert b'"request_id":"r1"' in (tmp_path / FILE).read_bytes()


def test_what_a_dead_process_replayed_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / MOVED.format("dead")).write_bytes(line_of(finish("left")))
    written: list[str] = []

    async def write(one: Finish) -> None:
        written.append(one.record.request_id)

    assert asyncio.run(Spool(tmp_path).replay(write)) == 1
    assert written == ["left"]
    assert not list(tmp_path.glob(MOVED.format("*")))


class FullDisk:
    """os.write on a disk with room for so many bytes, and for as many as are given back."""

    def __init__(self, folder: Path, room: int) -> None:
        self.room = room
        self.reserve = folder / RESERVE
        self.real = os.write

    def write(self, descriptor: int, data: Any) -> int:
        if not self.reserve.exists():
            self.room, self.reserve = 1_000_000, Path("/")
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.real(descriptor, bytes(data[: self.room]))
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_takes_lines_from_its_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    async def work() -> list[Any]:
        spool = Spool(tmp_path)
        await spool.open()
        assert (tmp_path / RESERVE).stat().st_blocks * 512 >= RESERVED
        await spool.append(finish("before"))
        monkeypatch.setattr(os, "write", FullDisk(tmp_path, room).write)
        await spool.append(finish("full"))
        spool.close()
        return [orjson.loads(line) for line in (tmp_path / FILE).read_bytes().splitlines()]

    lines = asyncio.run(work())
    assert [line["record"]["request_id"] for line in lines] == ["before", "full"]


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        spool = Spool(tmp_path)
        await spool.append(finish("before"))
        disk = FullDisk(tmp_path, 10)
        disk.reserve = tmp_path  # nothing is given back
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", disk.write)
            with pytest.raises(OSError, match="space"):
                await spool.append(finish("lost"))
        await spool.append(finish("after"))

    asyncio.run(work())
    lines = [orjson.loads(line) for line in (tmp_path / FILE).read_bytes().splitlines()]
    assert [line["record"]["request_id"] for line in lines] == ["before", "after"]


def test_a_line_needs_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        spool = Spool(tmp_path)
        await spool.open()

        def none_left(*_arguments: Any) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(os, "open", none_left)
        await spool.append(finish())
        spool.close()

    asyncio.run(work())
    assert b'"request_id":"r1"' in (tmp_path / FILE).read_bytes()


def test_a_spool_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    async def work() -> None:
        spool = Spool(tmp_path)
        await spool.append(finish("deleted"))
        (tmp_path / FILE).unlink()
        await spool.append(finish("kept"))

    asyncio.run(work())
    assert b'"request_id":"kept"' in (tmp_path / FILE).read_bytes()


def test_no_call_is_made_while_its_end_could_not_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()
    database: Any = Refusing()

    async def work() -> None:
        store = Store(database, Spool(tmp_path))
        await store.check_recording()
        with pytest.raises(OSError, match="directory"):
            await store.finish(finish())
        assert store.is_losing
        with pytest.raises(DatabaseUnavailable, match="takes no lines"):
            await store.check_recording()
        (tmp_path / FILE).rmdir()
        await store.check_recording()
        assert not store.is_losing
        assert await store.finish(finish("after")) is None

    asyncio.run(work())
    [lost] = [entry for entry in caplog.records if "neither the database" in entry.message]
    assert '"request_id":"r1"' in lost.message
