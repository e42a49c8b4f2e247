"""Continuity of reasoning in a call: open the ids that came, and make those that go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from core.asgi import large_bodies
from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.answers import ThoughtIds
from gateway.dataplane.continuity.ids import Row
from gateway.dataplane.continuity.requests import Thoughts
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.requests.request import GatewayRequest
from gateway.dataplane.store.base import Store
from gateway.dataplane.streams import OpenStream
from providers.declaration.spec import Answer, Frame, Operation, Provider, Request
from tenants.auth.principal import Principal
from tenants.crypto.keys import Seal
from tenants.kept.statements import Item

logger = logging.getLogger(__name__)
MOST_ROWS: Final = 500  # of a conversation


async def open_ids(request: GatewayRequest, store: Store) -> None:
    """Open the ids of calls in a request.

    Raises:
        DatabaseUnavailable: The database is unavailable.
    """
    tenant_id = request.principal.tenant_id
    seal = Seal(tenant_id)
    keys = {identity: ids.key_in(identity) for identity in request.call_ids}
    wanted = sorted({key for key in keys.values() if key is not None})[:MOST_ROWS]
    found = await asyncio.gather(*(store.kept(tenant_id, key) for key in wanted))
    rows = dict(zip(wanted, found, strict=True))

    def opened() -> Thoughts:
        return {
            identity: ids.opened(identity, seal)
            if key is None
            else ids.opened_row(key, rows.get(key), seal)
            for identity, key in keys.items()
        }

    request.thoughts = await large_bodies.run(request.size, opened, owner=tenant_id)


async def with_ids(
    request: GatewayRequest,
    sent: Request,
    provider: Provider,
    result: Answer | OpenStream,
    store: Store,
) -> Answer | OpenStream:
    """Return an answer whose calls of tools have ids that carry the reasoning before them.

    Args:
        sent: What the provider was asked.
    """
    if isinstance(result, Answer):
        request.is_native = result.content is not None
    else:
        request.is_native = result.decoder.native
    if request.is_native or sent.operation is not Operation.CHAT or not sent.body.get("tools"):
        return result
    carries = request.door.carries(request.asked())
    if carries is None:
        return result
    owner = request.principal
    new_ids = ThoughtIds(
        Seal(owner.tenant_id),
        carries=carries,
        stores=owner.kept_hours > 0,
        texts=provider.replays_thoughts,
    )
    rows = Rows(owner, store)
    if not isinstance(result, Answer):
        return _Stream(result, new_ids, rows)
    answer = new_ids.answer(result)
    await rows.keep(new_ids.taken_rows())
    return answer


class Rows:
    """Keeps what ids of calls name, before the client gets them."""

    __slots__ = ("_owner", "_store")

    def __init__(self, owner: Principal, store: Store) -> None:
        self._owner = owner
        self._store = store

    async def keep(self, rows: Sequence[Row]) -> None:
        """Write rows. A call works without them, so a database that is away stops none."""
        tenant_id, hours = self._owner.tenant_id, self._owner.kept_hours
        try:
            for row in rows:
                await self._store.keep(Item(tenant_id, row.key, row.token, hours))
        except DatabaseUnavailable as problem:
            logger.warning("Cannot keep the reasoning of a call: %s", problem)


class _Stream:
    """A stream whose calls of tools get such ids."""

    __slots__ = ("_ids", "_rows", "_stream", "close", "decoder")

    def __init__(self, stream: OpenStream, new_ids: ThoughtIds, rows: Rows) -> None:
        self._stream = stream
        self._rows = rows
        self._ids = new_ids
        self.decoder = stream.decoder
        self.close = stream.close

    @property
    def ended(self) -> bool:
        return self._stream.ended

    async def read(self) -> Sequence[Frame]:
        frames = self._ids.frames(await self._stream.read())
        if rows := self._ids.taken_rows():
            await self._rows.keep(rows)
        return frames
