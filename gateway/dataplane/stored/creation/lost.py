"""Find out what became of batches whose creation was interrupted.

A batch on a trial is noted before its provider is asked, and the provider gets the note's id with
it. So a batch that was created while nobody was there to hear of it is found in the provider's
list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from gateway.dataplane.errors import Refusal
from gateway.dataplane.stored.accounts import Account, Storages, open_account
from gateway.dataplane.stored.creation.credits import Credits
from gateway.dataplane.threads import in_thread
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored import pending, queries
from providers.stored.ids import Identity, is_sound
from providers.stored.owners import account_id, owner_of
from providers.stored.states import HOLDING
from quotas.ledger.states import EXPIRY_MARGIN_SECONDS
from tenants.scope import tenant_scope

TAG: Final = "modelkeep_batch"  # in the metadata of a batch on a trial
PAGES: Final = 20  # of a provider's list, with a hundred batches each
SECONDS: Final = 30.0  # that a provider may take for a page
SKEW: Final = 3600  # seconds by which a provider's clock may be behind


def tagged(metadata: Any, row: StoredBatch) -> dict[str, Any]:
    """Return a batch's metadata with what it is found by."""
    return {**(metadata or {}), TAG: row.pk.hex}


def untagged(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a provider's answer as the caller expects it."""
    metadata = answer.get("metadata")
    if not isinstance(metadata, dict) or TAG not in metadata:
        return answer
    rest = {name: value for name, value in metadata.items() if name != TAG}
    return {**answer, "metadata": rest or None}


class Lost:
    """Finds batches that were created unheard, and ends the holds of those that were not.

    Args:
        storages: Asks the providers.
    """

    def __init__(self, storages: Storages, credits: Credits) -> None:
        self._storages = storages
        self._credits = credits

    async def find(self, account: Account, row: StoredBatch) -> Mapping[str, Any] | None:
        """Return the provider's answer for a batch that may have been created; None if it was not.

        Raises:
            Refusal: The provider does not tell.
        """
        by_file = None
        async for listed in self._listed(account, since=row.created.timestamp() - SKEW):
            metadata, provider_id = listed.get("metadata"), listed.get("id")
            tag = metadata.get(TAG) if isinstance(metadata, dict) else None
            if not is_sound(provider_id):
                continue
            if tag == row.pk.hex:
                return listed
            is_candidate = tag is None and by_file is None  # not all providers keep metadata
            if is_candidate and listed.get("input_file_id") == row.input_id:
                is_known = await in_thread(partial(_is_known, row, str(provider_id)))
                by_file = None if is_known else listed
        return by_file

    async def resolve(self, row: StoredBatch) -> None:
        """Note a batch whose creation was interrupted, or give back what is held for it.

        Raises:
            Refusal: The provider does not tell; a later try may succeed.
            DatabaseUnavailable: The database is unavailable.
        """
        patience = timedelta(seconds=settings.MODELKEEP_CALL_DEADLINE + EXPIRY_MARGIN_SECONDS)
        if timezone.now() - row.created < patience:
            return  # it may be created right now
        unknown = Refusal("server_stopping", "The server stopped while the batch was created.")
        if row.status == HOLDING:
            await self._credits.give_back(row, unknown)
        else:
            account = await open_account(owner_of(row))
            if not account.storage.has_metadata:
                await self._credits.charge_all(row, unknown)
            elif (answer := await self.find(account, row)) is not None:
                await in_thread(partial(note_created, row, answer))
                return
            else:
                await self._credits.give_back(row, unknown)
        await in_thread(partial(drop, row))

    async def _listed(self, account: Account, since: float) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the account's batches since a time, the newest first."""
        after = ""
        for _page in range(PAGES):
            path = f"/batches?limit=100{after}"
            page = (
                await self._storages.ask(account, StorageRequest("GET", path), seconds=SECONDS)
                or {}
            )
            data = page.get("data")
            batches = [one for one in data if isinstance(one, dict)] if data else []
            for batch in batches:
                yield batch
            last = batches[-1] if batches else {}
            if not page.get("has_more") or not is_sound(last.get("id")) or _made(last) < since:
                return
            after = f"&after={last['id']}"
        raise Refusal("provider_error", f"{account.label} lists too many batches.")


def _made(batch: Mapping[str, Any]) -> float:
    made = batch.get("created_at")
    return float(made) if isinstance(made, int) else 0.0


def _is_known(row: StoredBatch, provider_id: str) -> bool:
    identity = Identity(row.provider, account_id(row), provider_id)
    with tenant_scope(row.tenant_id):
        return queries.find(StoredBatch, identity, tenant_id=row.tenant_id) is not None


def note_created(row: StoredBatch, answer: Mapping[str, Any]) -> bool:
    """Note what a provider answered; False if somebody dropped the batch."""
    with tenant_scope(row.tenant_id):
        return pending.note_created(batch=row, provider_id=str(answer["id"]), answer=answer)


def drop(row: StoredBatch) -> None:
    with tenant_scope(row.tenant_id):
        pending.drop(batch=row)
