"""Create a batch at its provider, and note it: the same for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.dataplane.errors import DatabaseUnavailable, Refusal
from gateway.dataplane.stored.accounts import Account, Storages, refusal_of
from gateway.dataplane.stored.creation import lost
from gateway.dataplane.stored.creation.credits import Credits, planned, require, trial_of
from gateway.dataplane.stored.creation.lost import Lost, tagged
from gateway.dataplane.stored.creation.new import Created, NewBatch
from gateway.dataplane.threads import in_thread
from providers.declaration.errors import ProviderError
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored import pending, services
from providers.stored.ids import is_sound
from quotas.trials.queries import TrialView
from tenants.scope import tenant_scope


class Creating:
    """Creates batches.

    Args:
        storages: Asks the providers.
    """

    def __init__(self, storages: Storages, credits: Credits, lost: Lost) -> None:
        self._storages = storages
        self._credits = credits
        self._lost = lost

    async def create(self, new: NewBatch) -> Created:
        """Create a batch at its provider, on a trial after its credits are held.

        Raises:
            Refusal: The provider refused or could not be reached, or the trial does not pay.
            DatabaseUnavailable: The database is unavailable; the batch was cancelled.
        """
        if new.account.is_trial:
            return await self._on_trial(new)
        answer = await self._storages.ask(new.account, new.request)
        assert answer is not None, "a provider without batches is an error"
        if not is_sound(answer.get("id")):
            raise without_id(new.account)
        try:
            return Created(await in_thread(partial(_added, new, answer)), answer)
        except services.AlreadyStored:
            raise without_id(new.account) from None
        except DatabaseUnavailable:
            await self._cancel(new, answer)  # nobody could use it, and it would be paid for
            raise

    async def _cancel(self, new: NewBatch, answer: Mapping[str, Any]) -> None:
        path = f"{new.request.path}/{answer['id']}/cancel"
        with suppress(Refusal):
            await self._storages.ask(new.account, StorageRequest("POST", path))

    # -- on a trial --------------------------------------------------------------------------------

    async def _on_trial(self, new: NewBatch) -> Created:
        trial = await in_thread(partial(trial_of, new.account.tenant_id, new.account.owner.plan_id))
        if trial is None:
            raise Refusal("not_configured", f"This workspace has no {new.account.label} trial.")
        require(trial, new.calls.lines, new.principal)
        row = await in_thread(partial(_begun, new, trial))
        try:
            left = await self._credits.hold(new, trial, row)
            if not await in_thread(partial(_note_asked, row)):
                raise _ended()
        except Refusal as refusal:
            await self._undo(row, refusal)
            raise
        return Created(row, await self._created(new, row), left)

    async def _created(self, new: NewBatch, row: StoredBatch) -> Mapping[str, Any]:
        """Ask the provider for a batch whose credits are held, and note it.

        If the server dies meanwhile, or nobody knows what the provider did, the note stays as it
        is, and `lost.py` finds out.
        """
        answer: Mapping[str, Any] | None
        try:
            answer = await self._storages.send(new.account, _request(new, row))
        except ProviderError as error:
            answer = await self._found(new.account, row, error)
        if answer is None or not is_sound(answer.get("id")):
            await self._undo(row, without_id(new.account))
            raise without_id(new.account)
        try:
            is_noted = await in_thread(partial(lost.note_created, row, answer))
        except services.AlreadyStored:
            await self._undo(row, without_id(new.account))
            raise without_id(new.account) from None
        if not is_noted:
            await self._cancel(new, answer)
            raise _ended()
        return answer

    async def _found(
        self, account: Account, row: StoredBatch, error: ProviderError
    ) -> Mapping[str, Any]:
        """Return a batch that was created although the answer says otherwise, or is missing.

        Raises:
            Refusal: It was not created, or cannot be found now.
        """
        refusal = refusal_of(error, account)
        if _is_certain(error) or not account.storage.has_metadata:
            await self._undo(row, refusal)
            raise refusal
        with suppress(Refusal):
            if (answer := await self._lost.find(account, row)) is not None:
                return answer
        raise refusal

    async def _undo(self, row: StoredBatch, refusal: Refusal) -> None:
        with suppress(DatabaseUnavailable):  # then the server does it later
            await self._credits.give_back(row, refusal)
            await in_thread(partial(lost.drop, row))


def _is_certain(error: ProviderError) -> bool:
    """Tell whether a provider surely created nothing."""
    return not error.sent or (error.status is not None and 400 <= error.status < 500)


def _request(new: NewBatch, row: StoredBatch) -> StorageRequest:
    request = new.request
    if not new.account.storage.has_metadata or request.body is None:
        return request
    body = {**request.body, "metadata": tagged(request.body.get("metadata"), row)}
    return replace(request, body=body)


def _ended() -> Refusal:
    return Refusal("already_done", "The server ended this request. Send it again.")


def without_id(account: Account) -> Refusal:
    return Refusal("provider_error", f"{account.label}: the answer has no usable ID.")


def _added(new: NewBatch, answer: Mapping[str, Any]) -> StoredBatch:
    with tenant_scope(new.account.tenant_id):
        return services.add_batch(
            owner=new.account.owner,
            principal=new.principal,
            provider_id=str(answer["id"]),
            calls=new.calls,
            input_id=new.input_id,
            answer=answer,
            request_id=new.request_id,
        )


def _begun(new: NewBatch, trial: TrialView) -> StoredBatch:
    with tenant_scope(new.account.tenant_id):
        return pending.begin(
            owner=new.account.owner,
            principal=new.principal,
            calls=new.calls,
            holds=planned(trial, new.calls.lines),
            input_id=new.input_id,
            request_id=new.request_id,
        )


def _note_asked(row: StoredBatch) -> bool:
    with tenant_scope(row.tenant_id):
        return pending.note_asked(batch=row)
