"""Who may see a file or a batch, and what its id stands for.

What a workspace's provider keeps belongs to the workspace, as at OpenAI to a project. An app key
with limits sees what it may use; all else does not exist for it.
"""

from __future__ import annotations

from typing import Final, TypeVar
from uuid import UUID

from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal
from gateway.dataplane.threads import in_thread
from providers.models import Stored, StoredBatch, StoredFile
from providers.stored import queries
from providers.stored.ids import Identity, Kind, identity_of, public_id
from providers.stored.owners import account_id
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

Row = TypeVar("Row", bound=Stored)
_KINDS: Final[dict[type[Stored], Kind]] = {StoredFile: Kind.FILE, StoredBatch: Kind.BATCH}
_NAMES: Final = {Kind.FILE: "file", Kind.BATCH: "batch", Kind.MESSAGE_BATCH: "batch"}


def may_see(principal: Principal, row: Stored) -> bool:
    """Tell whether a key may use all that a file or batch calls.

    What names no model is only for keys that may use all models and endpoints of its provider.
    """
    if not row.path:
        return principal.may_change_provider(row.provider) and not principal.allowed_operations
    endpoint = ENDPOINTS.get(row.path)
    return (
        endpoint is not None
        and principal.may_ask(endpoint.operation.value)
        and all(principal.may_use(row.provider, model) for model in row.model_names)
    )


async def find(
    model: type[Row],
    text: str,
    principal: Principal,
    *,
    param: str = "id",
    kind: Kind | None = None,
) -> Row:
    """Return what an id stands for, with its credential.

    Raises:
        Refusal: 404, the same for what is unknown, another workspace's and not for this key.
        DatabaseUnavailable: The database is unavailable.
    """
    kind, tenant_id = kind or _KINDS[model], principal.tenant_id
    identity = identity_of(kind, text, tenant_id=tenant_id)
    row = None
    if identity is not None:
        row = await in_thread(lambda: _found(model, identity, tenant_id))
    if row is None or not may_see(principal, row):
        raise absent(kind, text, param)
    return row


def _found(model: type[Row], identity: Identity, tenant_id: UUID) -> Row | None:
    with tenant_scope(tenant_id):
        return queries.find(model, identity, tenant_id=tenant_id)


def absent(kind: Kind, text: str, param: str = "id") -> Refusal:
    """Return the refusal of an id that stands for nothing the caller may see."""
    message = (
        f"There is no {_NAMES[kind]} “{text[:120]}” in this workspace. It was deleted, its "
        "credential was removed, or the ID is another provider's own."
    )
    return Refusal("not_found", message, param=param)


def id_of(row: Stored, provider_id: str | None = None, kind: Kind | None = None) -> str:
    """Return the public id of a row, or of a file that a batch names."""
    identity = Identity(row.provider, account_id(row), provider_id or row.provider_id)
    return public_id(kind or _KINDS[type(row)], identity, tenant_id=row.tenant_id)
