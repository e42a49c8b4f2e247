"""The endpoints of files and batches, and what they share in one process."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.dataplane.requests.http import HttpExchange
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.store.base import Store
from gateway.dataplane.stored.accounts import Storages
from gateway.dataplane.stored.batches import Batches
from gateway.dataplane.stored.choosing import Choosing
from gateway.dataplane.stored.creation.creating import Creating
from gateway.dataplane.stored.creation.credits import Credits
from gateway.dataplane.stored.creation.lost import Lost
from gateway.dataplane.stored.files import Files
from gateway.dataplane.stored.messages.batches import MessageBatches
from gateway.dataplane.stored.recording import Recording
from gateway.dataplane.stored.resources import Resource
from providers.transport.async_client import Upstream
from tenants.auth.principal import Principal


class Endpoints:
    """Answers what is asked about files and batches.

    Args:
        run: Runs work in the background.
    """

    def __init__(
        self,
        *,
        routes: Routes,
        store: Store,
        upstream: Upstream,
        run: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        storages = Storages(upstream)
        choosing, credits = Choosing(routes), Credits(store)
        lost = Lost(storages, credits)
        creating = Creating(storages, credits, lost)
        self.recording = Recording(storages, store, lost, run)
        self._kinds: dict[str, Any] = {
            "files": Files(storages, choosing),
            "batches": Batches(storages, creating, self.recording),
            "messages/batches": MessageBatches(storages, choosing, creating, self.recording),
        }

    async def answer(
        self, exchange: HttpExchange, principal: Principal, resource: Resource
    ) -> None:
        """Answer a request whose method the resource has.

        Raises:
            Refusal: There is no answer.
            DatabaseUnavailable: The database is unavailable.
            ConnectionError: The client disconnected, or the provider while its content was sent.
        """
        name = resource.methods[exchange.scope["method"]]
        work = getattr(self._kinds[resource.kind], name)
        await work(exchange, principal, *([resource.id] if resource.id else ()))
