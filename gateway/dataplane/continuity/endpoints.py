"""GET and DELETE /v1/responses/{id}, GET /v1/responses/{id}/input_items."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from gateway.dataplane.continuity import responses
from gateway.dataplane.continuity.deletion import delete_at_provider
from gateway.dataplane.continuity.stored import StoredResponse
from gateway.dataplane.doors.interface import Headers
from gateway.dataplane.errors import bad_request
from gateway.dataplane.requests.addresses import INPUT_ITEMS, RESPONSES
from gateway.dataplane.requests.http import JSON_TYPE, HttpExchange
from gateway.dataplane.store.base import Store
from providers.transport.async_client import Upstream
from tenants.auth.principal import Principal

_PAGE: Final = 20  # items, as at OpenAI
_MOST: Final = 100


async def answer(
    exchange: HttpExchange, principal: Principal, store: Store, upstream: Upstream
) -> None:
    """Answer a request for a kept response.

    Raises:
        Refusal: There is no such response, the query is wrong, or its provider does not delete it.
        DatabaseUnavailable: The database is unavailable.
    """
    path = exchange.path.removeprefix(RESPONSES)
    key = path.removesuffix(INPUT_ITEMS)
    stored = await responses.find(principal, key, store)
    headers: Headers = [JSON_TYPE]
    if exchange.scope["method"] == "DELETE":
        if not await delete_at_provider(principal.tenant_id, key, stored, upstream):
            headers.append((b"x-modelkeep-left-at", stored.provider.encode()))
        await store.forget(principal.tenant_id, key)
        body: dict[str, Any] = {"id": key, "object": "response", "deleted": True}
    elif path.endswith(INPUT_ITEMS):
        body = _page(stored, exchange.scope.get("query_string", b"").decode("latin-1"))
    else:
        body = stored.response
    await exchange.answer(200, headers, orjson.dumps(body))


def _page(stored: StoredResponse, query: str) -> dict[str, Any]:
    """Return a page of the items that led to a response, the latest first."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    order, after = asked.get("order", "desc"), asked.get("after")
    if order not in ("asc", "desc"):
        raise bad_request("order must be asc or desc.", "order")
    limit = asked.get("limit", str(_PAGE))
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= _MOST:
        raise bad_request(f"limit must be a number from 1 to {_MOST}.", "limit")
    items = stored.input if order == "asc" else stored.input[::-1]
    if after is not None:
        places = [number for number, item in enumerate(items) if item["id"] == after]
        if not places:
            raise bad_request("There is no item with the ID in after.", "after")
        items = items[places[0] + 1 :]
    page = items[: int(limit)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > len(page),
    }
