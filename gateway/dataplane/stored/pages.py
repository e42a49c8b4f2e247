"""Lists of a workspace's files and batches, in the form of OpenAI's pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import orjson

from gateway.dataplane.errors import bad_request
from gateway.dataplane.stored import rights
from gateway.dataplane.threads import in_thread
from providers.models import Stored
from providers.stored import queries
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

Row = TypeVar("Row", bound=Stored)
MOST: Final = 1000  # of a page
PURPOSE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
CHUNK: Final = 200  # rows that are read at a time


@dataclass(frozen=True, slots=True)
class Page:
    """What a list's query asks for. `after` is a public id; empty for the first page."""

    limit: int
    after: str
    oldest_first: bool
    purpose: str


def read_page(query: str, *, usual: int) -> Page:
    """Read a query string. Raises Refusal (400) that names the parameter."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    limit, order = asked.get("limit") or str(usual), asked.get("order") or "desc"
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:6]) <= 10_000):
        raise bad_request("limit must be a number from 1 to 10000.", "limit")
    if order not in ("asc", "desc"):
        raise bad_request("order must be asc or desc.", "order")
    purpose = asked.get("purpose", "")
    if purpose and not PURPOSE.fullmatch(purpose):
        raise bad_request("purpose must be a word such as batch.", "purpose")
    return Page(min(int(limit[:6]), MOST), asked.get("after", ""), order == "asc", purpose)


async def page_of(
    model: type[Row], principal: Principal, page: Page, describe: Callable[[Row], dict[str, Any]]
) -> bytes:
    """Return the body of a list of what a key may see.

    Raises:
        Refusal: 404 for an unknown `after`.
        DatabaseUnavailable: The database is unavailable.
    """
    last = await rights.find(model, page.after, principal, param="after") if page.after else None
    rows = await in_thread(lambda: _rows(model, principal, page, last))
    data = [describe(row) for row in rows[: page.limit]]
    return orjson.dumps(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(rows) > page.limit,
        }
    )


def _rows(model: type[Row], principal: Principal, page: Page, last: Row | None) -> list[Row]:
    """Return one row more than asked for, if there is one."""
    with tenant_scope(principal.tenant_id):
        rows = queries.newest(model, tenant_id=principal.tenant_id, purpose=page.purpose)
        if page.oldest_first:
            rows = rows.reverse()
        if last is not None:
            rows = rows.filter(**{"id__gt" if page.oldest_first else "id__lt": last.pk})
        visible = (row for row in rows.iterator(CHUNK) if rights.may_see(principal, row))
        return list(islice(visible, page.limit + 1))
