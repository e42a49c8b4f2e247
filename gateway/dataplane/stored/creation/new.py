"""A batch that is to be created, and one that was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.dataplane.stored.accounts import Account
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored.services import Calls
from tenants.auth.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch to create.

    Attributes:
        request: What the provider is asked.
        input_id: The provider's id of its file; empty if it has none.
        key: The caller's Idempotency-Key, or "".
    """

    account: Account
    principal: Principal
    request_id: str
    calls: Calls
    request: StorageRequest
    input_id: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Created:
    """A batch, and how its provider describes it.

    Attributes:
        left: Credits of the trial that pays for it; None with the workspace's own key.
    """

    row: StoredBatch
    answer: Mapping[str, Any]
    left: int | None = None
