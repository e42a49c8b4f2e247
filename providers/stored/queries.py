"""Queries of the files and batches that providers keep for a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, QuerySet, Subquery
from django.db.models.functions import Coalesce

from core.db.connection import execute
from core.db.dialect import read_json
from providers.models import ProviderCredential, Stored, StoredBatch, StoredFile
from providers.stored.ids import Identity
from providers.stored.owners import account_columns, account_id
from providers.stored.states import PENDING
from providers.wire.anthropic.batches import MESSAGES

Row = TypeVar("Row", bound=Stored)


def find(model: type[Row], identity: Identity, *, tenant_id: UUID) -> Row | None:
    """Return the row of a file or batch, with its credential."""
    rows: QuerySet[Row] = model.objects.filter(
        tenant_id=tenant_id,
        provider=identity.provider,
        provider_id=identity.provider_id,
        **account_columns(identity.account_id),
    )
    return rows.select_related("credential").first()


def batch(*, tenant_id: UUID, batch_id: UUID) -> StoredBatch | None:
    """Return a batch with its credential."""
    rows: QuerySet[StoredBatch] = StoredBatch.objects.filter(tenant_id=tenant_id, pk=batch_id)
    return rows.select_related("credential").first()


def newest(model: type[Row], *, tenant_id: UUID, purpose: str = "") -> QuerySet[Row]:
    """Return a workspace's files or batches of OpenAI's format, the newest first."""
    rows: QuerySet[Row] = model.objects.filter(tenant_id=tenant_id).exclude(path=MESSAGES)
    if model is StoredBatch:
        rows = rows.exclude(status__in=PENDING)
    return (rows.filter(purpose=purpose) if purpose else rows).order_by("-id")


def newest_of_messages(*, tenant_id: UUID) -> QuerySet[StoredBatch]:
    """Return a workspace's batches of Anthropic's format, the newest first."""
    rows: QuerySet[StoredBatch] = StoredBatch.objects.filter(tenant_id=tenant_id, path=MESSAGES)
    return rows.exclude(status__in=PENDING).order_by("-id")


def count_on_trial(*, tenant_id: UUID, plan_id: int, purpose: str) -> int:
    """Count a workspace's files in the operator's account."""
    rows: QuerySet[StoredFile] = StoredFile.objects.filter(
        tenant_id=tenant_id, plan_id=plan_id, purpose=purpose
    )
    return rows.count()


def is_unrecorded_output(file: StoredFile) -> bool:
    """Tell whether a batch wrote a file whose usage is not recorded yet."""
    rows: QuerySet[StoredBatch] = StoredBatch.objects.filter(
        tenant_id=file.tenant_id, recorded=None, **account_columns(account_id(file))
    )
    return any(file.provider_id in outputs_of(batch) for batch in rows)


def outputs_of(batch: StoredBatch) -> list[str]:
    """Return the provider's ids of the files that a batch wrote."""
    ids = (batch.answer.get(name) for name in ("output_file_id", "error_file_id"))
    return [provider_id for provider_id in ids if provider_id]


@dataclass(frozen=True, slots=True)
class OfCredential:
    """How much its provider keeps for a credential.

    Attributes:
        open_batches: Those whose usage is not recorded yet.
    """

    files: int
    batches: int
    open_batches: int


def of_credential(credential: ProviderCredential) -> OfCredential:
    """Count what this server forgets when a credential is deleted."""
    of = {"tenant_id": credential.tenant_id, "credential_id": credential.pk}
    batches: QuerySet[StoredBatch] = StoredBatch.objects.filter(**of)
    [counts] = ProviderCredential.objects.filter(
        tenant_id=credential.tenant_id, pk=credential.pk
    ).values_list(
        _count(StoredFile.objects.filter(**of)),
        _count(batches),
        _count(batches.filter(recorded=None)),
    )
    return OfCredential(*counts)


def _count(rows: QuerySet[Any]) -> Coalesce:
    """Count the rows of one credential within another query."""
    counted = rows.order_by().values("credential_id").annotate(number=Count("pk"))
    return Coalesce(Subquery(counted.values("number")), 0)


def holds_of_open_batches() -> frozenset[UUID]:
    """Return what is held for all batches whose usage is not recorded yet."""
    rows = execute(
        "SELECT holds FROM providers_storedbatch WHERE recorded IS NULL AND holds IS NOT NULL", ()
    )
    return frozenset(UUID(hold["id"]) for (holds,) in rows for hold in read_json(holds).values())
