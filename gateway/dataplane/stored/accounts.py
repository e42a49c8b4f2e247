"""The accounts in which providers keep files and batches, and how they are asked about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from gateway.dataplane.errors import Refusal, from_provider
from gateway.dataplane.refusals import credential_unreadable
from gateway.dataplane.routing.plans import open_plan
from gateway.dataplane.threads import in_thread
from providers.credentials import opening
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Answer, Exchange, Provider
from providers.declaration.storage import Storage, StorageRequest
from providers.stored.owners import Owner
from providers.transport.async_client import Progress, Stream, Upstream
from providers.transport.steps import Steps
from tenants.crypto.keys import CredentialUnreadable
from tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a provider that keeps files and batches of a workspace."""

    owner: Owner
    provider: Provider
    storage: Storage
    access: Access
    secrets: tuple[str, ...]

    @property
    def tenant_id(self) -> UUID:
        return self.owner.tenant_id

    @property
    def is_trial(self) -> bool:
        """Whether it is the operator's, which all workspaces on a trial share."""
        return self.owner.plan_id is not None

    @property
    def pool_key(self) -> str:
        """Connections are pooled under this key: each workspace has its own."""
        row = self.owner.credential
        of_account = f"trial:{self.owner.plan_id}" if row is None else f"{row.pk}:{row.version}"
        return f"{self.tenant_id}:{of_account}"

    @property
    def label(self) -> str:
        return str(self.provider.label)


async def open_account(owner: Owner) -> Account:
    """Decrypt the credential of an account.

    Raises:
        Refusal: It cannot be decrypted, or the provider keeps nothing or is not offered any more.
        DatabaseUnavailable: The database is unavailable.
    """
    provider = next((one for one in registry.offered() if one.slug == owner.provider), None)
    storage = None if provider is None else provider.storage or provider.message_batches
    if provider is None or storage is None:
        raise Refusal("not_configured", f"{owner.provider} has no files and batches here.")
    try:
        access, secrets = await in_thread(partial(_opened, provider, owner))
    except CredentialUnreadable:
        label = str(provider.label)
        raise credential_unreadable(label, trial=owner.plan_id is not None) from None
    return Account(owner, provider, storage, access, secrets)


def _opened(provider: Provider, owner: Owner) -> tuple[Access, tuple[str, ...]]:
    if owner.plan_id is not None:
        return open_plan(provider, owner.plan_id)
    with tenant_scope(owner.tenant_id):
        access = opening.open_access(credential=owner.credential, purpose="call")
    return access, opening.secret_texts(provider, access)


class Storages:
    """Asks providers about what they keep."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def ask(
        self, account: Account, request: StorageRequest, *, seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Return the provider's answer; None if it has no such file or batch.

        Args:
            seconds: How long it may take; None for as long as a call.

        Raises:
            Refusal: The provider refused or could not be reached.
        """
        try:
            return await self.send(account, request, seconds=seconds)
        except ProviderError as error:
            raise refusal_of(error, account) from None

    async def send(
        self, account: Account, request: StorageRequest, *, seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Do as `ask`, but raise ProviderError, which tells what may have happened."""
        answer = await self._run(account, request, seconds)
        assert isinstance(answer, Answer), "only contents are streamed"
        return answer.body

    async def content(self, account: Account, path: str) -> Stream | None:
        """Open a file's content; None if the provider has no such file. Raises Refusal."""
        try:
            request = StorageRequest("GET", path, is_content=True)
            answer = await self._run(account, request, None)
        except ProviderError as error:
            raise refusal_of(error, account) from None
        return answer if isinstance(answer, Stream) else None

    async def _run(
        self, account: Account, request: StorageRequest, seconds: float | None
    ) -> Answer | Stream:
        deadline = time.monotonic() + (seconds or settings.MODELKEEP_CALL_DEADLINE)
        steps: Steps[Any] = Steps(
            _exchange(account, request),
            errors=account.provider.errors,
            secrets=account.secrets,
            deadline=deadline,
        )
        return await self._upstream.run(
            steps,
            owner=account.tenant_id,
            pool_key=account.pool_key,
            deadline=deadline,
            progress=Progress(),
        )


def refusal_of(error: ProviderError, account: Account) -> Refusal:
    return from_provider(error, label=account.label, trial=account.is_trial)


def _exchange(account: Account, request: StorageRequest) -> Callable[[], Exchange]:
    return lambda: account.storage.exchange(account.provider, request, account.access)
