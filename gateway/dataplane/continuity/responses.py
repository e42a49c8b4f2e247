"""Keep responses, and go on from them, in workspaces that have switched this on."""

from __future__ import annotations

import logging
from functools import partial

import orjson

from core.asgi import large_bodies
from gateway.dataplane.attempts import Call
from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.stored import (
    KEY_LENGTH,
    StoredResponse,
    is_key,
    items_of,
    packed,
    response_in,
    unpacked,
)
from gateway.dataplane.errors import DatabaseUnavailable, Refusal, bad_request
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.store.base import Store
from providers.declaration.spec import Operation
from tenants.auth.principal import Principal
from tenants.crypto.keys import Seal
from tenants.kept.statements import Item

logger = logging.getLogger(__name__)


async def recall(request: GatewayRequest, store: Store) -> None:
    """Find the response that a request goes on from, if this workspace keeps it.

    Raises:
        DatabaseUnavailable: The database is unavailable.
    """
    previous = request.body.get("previous_response_id")
    if not isinstance(previous, str) or not previous or not request.principal.kept_hours:
        return
    stored = await _found(request.principal, previous, store)
    if stored is None or stored.is_partial:
        return
    request.previous = stored
    data = orjson.dumps(stored.items)
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
        if kept is not None:
            await store.keep(Item(owner.tenant_id, *kept, owner.kept_hours))
    except (DatabaseUnavailable, ValueError) as problem:  # or the answer cannot be read again
        logger.warning("Cannot keep the response of call %s: %s", request.request_id, problem)


def _packed(call: Call, content: bytes) -> tuple[str, str] | None:
    request, target, source = call.request, call.target, call.source
    assert target is not None
    assert source is not None
    response = response_in(content)
    if response is None:
        return None
    previous = request.previous
    own = items_of(request.body.get("input"), request.unit_key or request.request_id)
    stored = StoredResponse(
        response,
        [*(previous.items if previous else ()), *own],
        target.provider.slug,
        target.model,
        at_provider=request.is_native and not source.is_trial,
        is_partial=previous is None
        and any(
            request.body.get(name) for name in ("previous_response_id", "conversation", "prompt")
        ),
    )
    return packed(stored, Seal(request.principal.tenant_id))


async def find(principal: Principal, key: str, store: Store) -> StoredResponse:
    """Return a response that this caller may read.

    Raises:
        Refusal: 404 for all others; 400 if this workspace keeps none.
        DatabaseUnavailable: The database is unavailable.
    """
    if not principal.kept_hours:
        raise bad_request(
            "This workspace keeps no responses. Send the whole conversation in `input` and set "
            "`store: false` in your client, or ask an admin to set “Keep for later calls” on the "
            "page Settings > Workspace."
        )
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
