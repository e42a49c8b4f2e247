"""What calls note besides their records: last uses of keys and credentials, and their health.

It is collected in memory and written about once a second, whoever called how often meanwhile. A
process that is killed loses what it noted since.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.routing.health import Health
from gateway.dataplane.store.base import Store
from gateway.dataplane.threads import in_thread
from providers.credentials import health
from providers.declaration.errors import ProviderError

logger = logging.getLogger(__name__)
MOST: Final = 100_000  # of each kind, while the database is unavailable
Version = tuple[UUID, int]  # a credential's id, and the version of its secrets


@dataclass(frozen=True, slots=True)
class Failure:
    tenant_id: UUID
    error: ProviderError
    health: Health


class Notes:
    """The notes of one process. Of several about one key or credential, the latest counts.

    Those about credentials are about a version of its secrets: a key that was replaced meanwhile
    neither fails nor works because the one before did.
    """

    def __init__(self) -> None:
        self._keys: set[UUID] = set()
        self._credentials: set[Version] = set()
        self._failures: dict[Version, Failure] = {}

    def key_used(self, app_key_id: UUID) -> None:
        if len(self._keys) < MOST:
            self._keys.add(app_key_id)

    def credential_worked(self, credential_id: UUID, version: int) -> None:
        self._failures.pop((credential_id, version), None)
        if len(self._credentials) < MOST:
            self._credentials.add((credential_id, version))

    def credential_failed(self, credential_id: UUID, failure: Failure) -> None:
        version = credential_id, failure.health.version
        self._credentials.discard(version)
        if len(self._failures) < MOST:
            self._failures[version] = failure

    async def write(self, store: Store) -> None:
        """Write what was noted since the last time.

        Raises:
            DatabaseUnavailable: The database is unavailable; the notes are kept.
        """
        keys, credentials, failures = self._keys, self._credentials, self._failures
        if not (keys or credentials or failures):
            return
        self._keys, self._credentials, self._failures = set(), set(), {}
        try:
            worked = dict(sorted(credentials))  # the newest version of each
            again = await store.note_uses(keys, worked.keys())
            for tenant_id, credential_id in again:
                version = worked[credential_id]
                await _write(partial(_works_again, tenant_id, credential_id, version))
            for (credential_id, _version), failure in failures.items():
                await _write(partial(_failed, credential_id, failure))
        except BaseException:  # also if the server stops meanwhile
            self._keys |= keys
            self._failures = {
                version: failure
                for version, failure in failures.items()
                if version not in self._credentials
            } | self._failures
            self._credentials |= credentials - self._failures.keys()
            raise


async def _write(note: partial[None]) -> None:
    try:
        await in_thread(note)
    except DatabaseUnavailable:
        raise
    except Exception:
        logger.exception("Could not save the state of a credential")


def _works_again(tenant_id: UUID, credential_id: UUID, version: int) -> None:
    health.note_success(tenant_id=tenant_id, credential_id=credential_id, version=version)


def _failed(credential_id: UUID, failure: Failure) -> None:
    health.note_failure(
        tenant_id=failure.tenant_id,
        credential_id=credential_id,
        version=failure.health.version,
        error=failure.error,
    )
    failure.health.is_unwritten = False
