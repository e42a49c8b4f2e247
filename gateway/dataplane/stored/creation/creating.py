"""Create a batch at its provider, and note it: the same for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.dataplane.errors import DatabaseUnavailable, Refusal
from gateway.dataplane.stored.accounts import Account, Storages
from gateway.dataplane.stored.files import in_scope, without_id
from gateway.dataplane.threads import in_thread
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored import services
from providers.stored.ids import is_sound
from tenants.auth.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch to create.

    Attributes:
        request: What the provider is asked.
        input_id: The provider's id of its file; empty if it has none.
    """

    account: Account
    principal: Principal
    request_id: str
    calls: services.Calls
    request: StorageRequest
    input_id: str = ""


@dataclass(frozen=True, slots=True)
class Created:
    """A batch, and how its provider describes it."""

    row: StoredBatch
    answer: Mapping[str, Any]


class Creating:
    """Creates batches.

    Args:
        storages: Asks the providers.
    """

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    async def create(self, new: NewBatch) -> Created:
        """Create a batch at its provider.

        Raises:
            Refusal: The provider refused or could not be reached.
            DatabaseUnavailable: The database is unavailable; the batch was cancelled.
        """
        answer = await self._storages.ask(new.account, new.request)
        assert answer is not None, "a provider without batches is an error"
        if not is_sound(answer.get("id")):
            raise without_id(new.account)
        add = partial(
            services.add_batch,
            credential=new.account.credential,
            principal=new.principal,
            provider_id=str(answer["id"]),
            calls=new.calls,
            input_id=new.input_id,
            answer=answer,
            request_id=new.request_id,
        )
        try:
            return Created(await in_thread(lambda: in_scope(new.account, add)), answer)
        except services.AlreadyStored:
            raise without_id(new.account) from None
        except DatabaseUnavailable:
            with suppress(Refusal):  # nobody could use it, and it would be paid for
                path = f"{new.request.path}/{answer['id']}/cancel"
                await self._storages.ask(new.account, StorageRequest("POST", path))
            raise
