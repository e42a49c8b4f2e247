"""Keep responses, and go on from them, in workspaces that have switched this on."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import orjson

from core.asgi import large_bodies
from gateway.dataplane.attempts import Call
from gateway.dataplane.continuity import ids, references
from gateway.dataplane.continuity.stored import (
    KEY_LENGTH,
    StoredResponse,
    is_key,
    items_of,
    packed,
    response_in,
    unpacked,
)
from gateway.dataplane.doors.interface import NotKept
from gateway.dataplane.doors.openai_responses.requests import KEEPS_NONE
from gateway.dataplane.errors import DatabaseUnavailable, Refusal, bad_request
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.store.base import Store
from providers.declaration.spec import Operation
from tenants.auth.principal import Principal
from tenants.crypto.keys import Seal
from tenants.kept.statements import Item

logger = logging.getLogger(__name__)


async def recall(request: GatewayRequest, store: Store) -> None:
    """Find the response that a request goes on from, and the items that it names by their ids.

    Raises:
        DatabaseUnavailable: The database is unavailable.
    """
    if not request.principal.kept_hours:
        return
    request.not_kept = NotKept.UNKNOWN
    previous = request.body.get("previous_response_id")
    if isinstance(previous, str) and previous:
        await _recall_previous(request, previous, store)
    if identities := references.named(request.body):
        await _recall_items(request, identities, store)


async def _recall_previous(request: GatewayRequest, previous: str, store: Store) -> None:
    stored = await _found(request.principal, previous, store)
    if stored is None:
        return
    if stored.is_partial:
        request.not_kept = NotKept.PARTIAL
        return
    request.previous = stored
    _note_items(request, stored.items)


async def _recall_items(request: GatewayRequest, identities: list[str], store: Store) -> None:
    responses: dict[str, StoredResponse | None] = {}
    referred = {}
    for identity in identities:
        key = await _response_of(request.principal, identity, store)
        if key is None:
            continue
        if key not in responses:
            responses[key] = await _found(request.principal, key, store)
        stored = responses[key]
        item = references.items_in(stored).get(identity) if stored else None
        if item is not None:
            referred[identity] = item
    request.referred = referred
    request.referred_from = [stored for stored in responses.values() if stored is not None]
    _note_items(request, list(referred.values()))


async def _response_of(principal: Principal, identity: str, store: Store) -> str | None:
    """Return the id of the response that an item belongs to."""
    row_key = references.row_key(identity)
    if not is_key(row_key):
        return None
    token = await store.kept(principal.tenant_id, row_key)
    if token is not None:
        return references.response_in(row_key, token, Seal(principal.tenant_id))
    return references.response_of(identity)


def _note_items(request: GatewayRequest, items: list[dict[str, Any]]) -> None:
    data = orjson.dumps(items)
    request.size += len(data)
    request.call_ids |= ids.ids_in(data)


async def keep(call: Call, content: bytes, store: Store) -> None:
    """Keep the response in an answer, or in the end of a stream, if the request wants that.

    A call works without, so a database that is away stops none.
    """
    request = call.request
    if not request.keeps:
        return
    owner = request.principal
    try:
        kept = await large_bodies.run(
            len(content) + request.size, partial(_packed, call, content), owner=owner.tenant_id
        )
        for key, token in kept:
            await store.keep(Item(owner.tenant_id, key, token, owner.kept_hours))
    except (DatabaseUnavailable, ValueError) as problem:  # or the answer cannot be read again
        logger.warning("Cannot keep the response of call %s: %s", request.request_id, problem)


def _packed(call: Call, content: bytes) -> list[tuple[str, str]]:
    """Return the rows of a response: its own, and those of its items; none if it is too long."""
    request, target, source = call.request, call.target, call.source
    assert target is not None
    assert source is not None
    response = response_in(content)
    if response is None:
        return []
    previous = request.previous
    own = items_of(request.given, request.unit_key or request.request_id)
    stored = StoredResponse(
        response,
        [*(previous.items if previous else ()), *own],
        target.provider.slug,
        target.model,
        at_provider=request.is_native
        and not source.is_trial
        and (str(source.credential_id) if source.credential_id else True),
        is_partial=_is_partial(request, own),
    )
    seal = Seal(request.principal.tenant_id)
    row = packed(stored, seal)
    return [] if row is None else [row, *references.rows(response, seal)]


def _is_partial(request: GatewayRequest, own: list[dict[str, Any]]) -> bool:
    """Tell whether only the provider knows some of what a request named."""
    names = ("previous_response_id", "conversation", "prompt")
    names_stored = request.previous is None and any(request.body.get(name) for name in names)
    return names_stored or any(map(references.is_reference, own))


async def find(principal: Principal, key: str, store: Store) -> StoredResponse:
    """Return a response that this caller may read.

    Raises:
        Refusal: 404 for all others; 400 if this workspace keeps none.
        DatabaseUnavailable: The database is unavailable.
    """
    if not principal.kept_hours:
        raise bad_request(KEEPS_NONE)
    stored = await _found(principal, key, store)
    if stored is None:
        raise Refusal("not_found", f"Response with id '{key[:KEY_LENGTH]}' not found.")
    return stored


async def _found(principal: Principal, key: str, store: Store) -> StoredResponse | None:
    if not is_key(key) or not principal.may_ask(Operation.CHAT.value):
        return None
    token = await store.kept(principal.tenant_id, key)
    stored = None if token is None else unpacked(key, token, Seal(principal.tenant_id))
    if stored is None or not principal.may_use(stored.provider, stored.model):
        return None
    return stored
