"""Whose account keeps files and batches: the workspace's own, or the operator's on a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from providers.models import ProviderCredential, Stored

_MOST_PLAN: Final = 2**63  # ids of plans are smaller, those of credentials random and so greater


@dataclass(frozen=True, slots=True)
class Owner:
    """A workspace's account at a provider: of one of its credentials, or of a trial plan."""

    tenant_id: UUID
    provider: str
    credential: ProviderCredential | None = None
    plan_id: int | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of what is kept there."""
        return {"credential": self.credential, "plan_id": self.plan_id}


def owner_of(row: Stored) -> Owner:
    return Owner(row.tenant_id, row.provider, row.credential, row.plan_id)


def account_id(row: Stored) -> UUID:
    """Return what stands for the account in the ids that callers get."""
    if row.credential_id is not None:
        return UUID(str(row.credential_id))
    return UUID(int=row.plan_id or 0)


def account_columns(account: UUID) -> dict[str, Any]:
    """Return the columns of what an account keeps, for a query."""
    if account.int < _MOST_PLAN:
        return {"credential_id": None, "plan_id": account.int}
    return {"credential_id": account, "plan_id": None}
