"""Statements of the store of sealed items, for the data plane and for the timer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from core.db.dialect import Dialect
from core.db.statements import Query, Statements

MOST_ITEMS: Final = 2000  # of a workspace; the oldest make room
MOST_BYTES: Final = 64 * 1024 * 1024  # of a workspace, sealed
SWEPT: Final = 500  # rows per transaction
_TABLE: Final = "tenants_keptitem"
# A call may end after its workspace has switched the store off. A key may come from a provider,
# which cannot replace what others have said.
_KEEP: Final = (
    "INSERT INTO tenants_keptitem (tenant_id, key, sealed, size, created, expires) "
    "SELECT t.id, {p}, {p}, CAST({p} AS integer), {now}, {later} FROM tenants_tenant t "
    "WHERE t.id = {p} AND t.kept_hours > 0 "
    "ON CONFLICT (tenant_id, key) DO NOTHING"
)
_TRIM: Final = (
    "DELETE FROM tenants_keptitem WHERE id IN (SELECT id FROM (SELECT id, "
    "row_number() OVER (ORDER BY id DESC) AS place, sum(size) OVER (ORDER BY id DESC) AS total "
    "FROM tenants_keptitem WHERE tenant_id = {p}) AS ranked WHERE place > {p} OR total > {p})"
)
_FIND: Final = (
    "SELECT sealed FROM tenants_keptitem WHERE tenant_id = {p} AND key = {p} AND expires > {now}"
)
_FORGET: Final = "DELETE FROM tenants_keptitem WHERE tenant_id = {p} AND key = {p}"
_SWEEP: Final = (
    "DELETE FROM tenants_keptitem WHERE id IN (SELECT id FROM tenants_keptitem "
    "WHERE expires <= {now} ORDER BY expires LIMIT {p} {skip_locked}) RETURNING id"
)


@dataclass(frozen=True, slots=True)
class Item:
    """What is kept under a key of a workspace.

    Attributes:
        sealed: A token of `Seal`, with the key as its context.
    """

    tenant_id: UUID
    key: str
    sealed: str
    hours: int


def keep(item: Item, dialect: Dialect) -> Statements[None]:
    """Write an item, and delete the oldest of a workspace that has too many."""
    seconds = dialect.seconds(item.hours * 3600)
    values = (item.key, item.sealed, len(item.sealed), None, None, seconds, item.tenant_id)
    yield _query(_KEEP, values, dialect)
    yield _query(_TRIM, (item.tenant_id, MOST_ITEMS, MOST_BYTES), dialect)


def find(tenant_id: UUID, key: str, dialect: Dialect) -> Query:
    """Return the query for an item that has not expired."""
    return _query(_FIND, (tenant_id, key, None), dialect)


def forget(tenant_id: UUID, key: str, dialect: Dialect) -> Query:
    return _query(_FORGET, (tenant_id, key), dialect)


def sweep(dialect: Dialect) -> Query:
    """Return the statement that deletes some expired items; a row for each."""
    return _query(_SWEEP, (None, SWEPT), dialect)


def _query(sql: str, values: tuple[Any, ...], dialect: Dialect) -> Query:
    text = sql.format(
        p=dialect.mark,
        now=dialect.now.format(p=dialect.mark),
        later=dialect.later.format(p=dialect.mark),
        skip_locked=dialect.skip_locked.format(table=_TABLE),
    )
    return Query(text, dialect.values(values))
