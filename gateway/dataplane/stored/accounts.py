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
from gateway.dataplane.threads import in_thread
from providers.credentials import opening
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Answer, Exchange, Provider
from providers.declaration.storage import Storage, StorageRequest
from providers.models import ProviderCredential
from providers.transport.async_client import Progress, Stream, Upstream
from providers.transport.steps import Steps
from tenants.crypto.keys import CredentialUnreadable
from tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True)
class Account:
    """A workspace's account at a provider that keeps files and batches."""

    credential: ProviderCredential
    provider: Provider
    storage: Storage
    access: Access
    secrets: tuple[str, ...]

    @property
    def tenant_id(self) -> UUID:
        return self.credential.tenant_id

    @property
    def label(self) -> str:
        return str(self.provider.label)


async def open_account(credential: ProviderCredential) -> Account:
    """Decrypt a credential.

    Raises:
        Refusal: It cannot be decrypted, or the provider keeps nothing or is not offered any more.
        DatabaseUnavailable: The database is unavailable.
    """
    provider = next((one for one in registry.offered() if one.slug == credential.provider), None)
    storage = None if provider is None else provider.storage or provider.message_batches
    if provider is None or storage is None:
        raise Refusal("not_configured", f"{credential.provider} has no files and batches here.")
    try:
        access = await in_thread(partial(_opened, credential))
    except CredentialUnreadable:
        message = (
            f"The stored {provider.label} credential cannot be decrypted, so nothing was sent. "
            "Enter the key again on the provider's page."
        )
        raise Refusal("credential_unreadable", message) from None
    secrets = opening.secret_texts(provider, access)
    return Account(credential, provider, storage, access, secrets)


def _opened(credential: ProviderCredential) -> Access:
    with tenant_scope(credential.tenant_id):
        return opening.open_access(credential=credential, purpose="call")


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
        answer = await self._run(account, request, seconds)
        assert isinstance(answer, Answer), "only contents are streamed"
        return answer.body

    async def content(self, account: Account, path: str) -> Stream | None:
        """Open a file's content; None if the provider has no such file. Raises Refusal."""
        answer = await self._run(account, StorageRequest("GET", path, is_content=True), None)
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
        credential = account.credential
        try:
            return await self._upstream.run(
                steps,
                owner=account.tenant_id,
                pool_key=f"{account.tenant_id}:{credential.pk}:{credential.version}",
                deadline=deadline,
                progress=Progress(),
            )
        except ProviderError as error:
            raise from_provider(error, label=account.label) from None


def _exchange(account: Account, request: StorageRequest) -> Callable[[], Exchange]:
    return lambda: account.storage.exchange(account.provider, request, account.access)
