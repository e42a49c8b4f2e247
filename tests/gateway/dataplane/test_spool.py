"""What the database cannot take is kept on the disk and written later, once."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.db.dialect import SQLITE
from core.db.statements import Query, Statements
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.base import Finish, Store
from gateway.dataplane.store.spool import FILE, REJECTED, Spool
from gateway.dataplane.store.sqlite import SQLiteDatabase
from quotas.ledger.records import Record


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
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 1


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


class Refusing:
    """A database that refuses every statement."""

    dialect = SQLITE

    async def run(self, _make: Any, *, together: bool = False) -> Any:
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
