"""Multi-statement steps, written once for both databases and run by the connection's owner.

A step is a generator that yields `Query`, is sent the rows of each, and returns a result:

* PostgreSQL: `together` joins the parts of a step into one statement using WITH. It takes its rows
  as arrays, so that its text is the same for any number of them, and is sent in one round trip.
* SQLite cannot write inside WITH, so the parts run one after another, each receiving the rows that
  earlier parts returned. The whole generator must run inside one BEGIN IMMEDIATE.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from core.db.arrays import array
from core.db.dialect import Dialect

Rows = Sequence[Sequence[Any]]
R = TypeVar("R")


class Query(NamedTuple):
    """A statement with the dialect's placeholders, and its parameters."""

    sql: str
    params: tuple[Any, ...]


Statements = Generator[Query, Rows, R]


class Given(NamedTuple):
    """Rows that a step is given: the names of their columns, and each one's type in PostgreSQL."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _kind in self.columns)


class Part(NamedTuple):
    """One statement of a step. It reads the rows that the step is given, or that earlier parts
    returned, under their names.

    `sql` is a format string: {p}, {now}, {later}, {lock} and {skip_locked} come from the dialect;
    {skip_locked} locks only rows of `table`, and {later} takes its seconds from the column
    `seconds`, if there is one.
    """

    name: str
    sql: str
    reads: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    table: str = ""
    seconds: str = ""


# Rows, and what reads them under which name.
Table = tuple[Given, Sequence[Sequence[Any]]]


def _text(part: Part, dialect: Dialect) -> str:
    return part.sql.format(
        p=dialect.mark,
        now=dialect.now,
        later=dialect.after.format(seconds=part.seconds or dialect.mark),
        lock=dialect.lock,
        skip_locked=dialect.skip_locked.format(table=part.table),
    )


@lru_cache(maxsize=64)
def _joined(
    given: tuple[Given, ...],
    parts: tuple[Part, ...],
    results: tuple[str, ...],
    by: str,
    dialect: Dialect,
) -> str:
    texts = []
    for rows in given:
        arrays = ", ".join(f"CAST({dialect.mark} AS {kind}[])" for _, kind in rows.columns)
        names = ", ".join(rows.names)
        texts.append(f"{rows.name} ({names}) AS (SELECT * FROM unnest({arrays}))")  # noqa: S608
    texts += [f"{part.name} AS ({_text(part, dialect)})" for part in parts]
    returns = {part.name: part.returns for part in parts}
    columns = ", ".join(f"{name}.{column}" for name in results for column in returns[name])
    tables = results[0] + "".join(f" JOIN {name} USING ({by})" for name in results[1:])
    return f"WITH {', '.join(texts)} SELECT {columns} FROM {tables}"  # noqa: S608


@lru_cache(maxsize=512)
def _alone(part: Part, read: tuple[tuple[str, tuple[str, ...], int], ...], dialect: Dialect) -> str:
    """Return the statement of one part, which reads so many rows under each name."""
    texts = []
    for name, columns, count in read:
        row = f"({', '.join([dialect.mark] * len(columns))})"
        texts.append(f"{name} ({', '.join(columns)}) AS (VALUES {', '.join([row] * count)})")
    rows = f"WITH {', '.join(texts)} " if texts else ""
    return rows + _text(part, dialect)


def together(
    given: Sequence[Table],
    parts: Sequence[tuple[Part, Sequence[Any]]],
    results: tuple[str, ...],
    dialect: Dialect,
    *,
    by: str = "",
) -> Statements[Rows]:
    """Run the parts of a step for all rows that are given.

    A part that reads an earlier part does nothing if that part returned no rows.

    Args:
        parts: Each with its parameters.
        results: The part whose rows are returned, or two.
        by: The column by which the rows of two are joined; the second has one of each value.

    Returns:
        The columns of the parts in `results`.
    """
    if dialect.joins:
        sql = _joined(
            tuple(name for name, _ in given), tuple(part for part, _ in parts), results, by, dialect
        )
        arrays = [
            array(kind, values)
            for (_, columns), rows in given
            for (_, kind), values in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        others = [dialect.value(value) for _, more in parts for value in more]
        return (yield Query(sql, (*arrays, *others)))
    columns = {name.name: name.names for name, _ in given}
    found: dict[str, Rows] = {
        name.name: [dialect.values(row) for row in rows] for name, rows in given
    }
    for part, more in parts:
        columns[part.name] = part.returns
        read = tuple((name, columns[name], len(found[name])) for name in part.reads)
        if not all(count for *_, count in read):
            found[part.name] = ()
            continue
        values = [value for name in part.reads for row in found[name] for value in row]
        params = (*values, *dialect.values(more))
        found[part.name] = yield Query(_alone(part, read, dialect), params)
    return _matched([found[name] for name in results], [columns[name] for name in results], by)


def _matched(found: Sequence[Rows], columns: Sequence[tuple[str, ...]], by: str) -> Rows:
    """Join the rows of two parts, unless there is only one."""
    if len(found) == 1:
        return found[0]
    (rows, others), (mine, theirs) = found, columns
    ours, their = mine.index(by), theirs.index(by)
    other = {row[their]: row for row in others}
    return [(*row, *other[row[ours]]) for row in rows if row[ours] in other]


def single(part: Part, params: Sequence[Any], dialect: Dialect) -> Query:
    """Return the query for a part that reads no other part."""
    return Query(_alone(part, (), dialect), dialect.values(params))


def run(steps: Statements[R], execute: Callable[[str, tuple[Any, ...]], Rows]) -> R:
    """Run a step. `execute(sql, params)` returns all rows, an empty sequence if there are none."""
    try:
        query = next(steps)
        while True:
            query = steps.send(execute(query.sql, query.params))
    except StopIteration as done:
        result: R = done.value
        return result


async def run_async(
    steps: Statements[R], execute: Callable[[str, tuple[Any, ...]], Awaitable[Rows]]
) -> R:
    """Run a step with an async `execute`."""
    try:
        query = next(steps)
        while True:
            query = steps.send(await execute(query.sql, query.params))
    except StopIteration as done:
        result: R = done.value
        return result
