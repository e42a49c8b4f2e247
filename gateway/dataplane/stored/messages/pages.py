"""Pages of message batches, as Anthropic's lists have them: the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl

from gateway.dataplane.errors import bad_request
from gateway.dataplane.stored import rights
from gateway.dataplane.stored.pages import CHUNK
from gateway.dataplane.threads import in_thread
from providers.models import StoredBatch
from providers.stored import queries
from providers.stored.ids import Kind
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

MOST: Final = 1000  # of a page
USUAL: Final = 20


@dataclass(frozen=True, slots=True)
class _Page:
    """What to list: the batches next to one, or the newest. `is_newer`: those made after it."""

    limit: int
    beside: StoredBatch | None = None
    is_newer: bool = False


async def page_of(
    query: str, principal: Principal, describe: Callable[[StoredBatch], dict[str, Any]]
) -> dict[str, Any]:
    """Return the list that a query string asks for, of what a key may see.

    Raises:
        Refusal: 400 that names the parameter, or 404 for an unknown batch.
        DatabaseUnavailable: The database is unavailable.
    """
    page = await _read(query, principal)
    rows = await in_thread(lambda: _rows(principal, page))
    shown = rows[: page.limit]
    data = [describe(row) for row in (reversed(shown) if page.is_newer else shown)]
    return {
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(rows) > page.limit,
    }


async def _read(query: str, principal: Principal) -> _Page:
    asked = dict(parse_qsl(query))
    limit = asked.get("limit", str(USUAL))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:5]) <= MOST):
        raise bad_request(f"limit must be a number from 1 to {MOST}.", "limit")
    given = [name for name in ("after_id", "before_id") if name in asked]
    if len(given) > 1:
        raise bad_request("Send after_id or before_id, not both.", "before_id")
    if not given:
        return _Page(int(limit))
    (name,) = given
    beside = await rights.find(
        StoredBatch, asked[name], principal, param=name, kind=Kind.MESSAGE_BATCH
    )
    return _Page(int(limit), beside, name == "before_id")


def _rows(principal: Principal, page: _Page) -> list[StoredBatch]:
    """Return one row more than asked for, if there is one."""
    with tenant_scope(principal.tenant_id):
        rows = queries.newest_of_messages(tenant_id=principal.tenant_id)
        if page.beside is not None:
            rows = rows.filter(**{"id__gt" if page.is_newer else "id__lt": page.beside.pk})
        if page.is_newer:
            rows = rows.reverse()
        visible = (row for row in rows.iterator(CHUNK) if rights.may_see(principal, row))
        return list(islice(visible, page.limit + 1))
