"""Note batches before they are created, so that none is lost if the server dies meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from core.ids import uuid7
from providers.models import StoredBatch
from providers.stored.owners import Owner
from providers.stored.services import AlreadyStored, Calls, columns_of_answer, common_columns
from providers.stored.states import ASKED, HOLDING, PENDING
from tenants.auth.principal import Principal


def begin(
    *,
    owner: Owner,
    principal: Principal,
    calls: Calls,
    holds: Mapping[str, Any],
    input_id: str,
    request_id: str,
) -> StoredBatch:
    """Note a batch whose credits are about to be held. Its id stands for the provider's."""
    number = uuid7()
    columns = common_columns(owner, principal, number.hex, calls)
    return StoredBatch.objects.create(
        id=number,
        holds=holds,
        status=HOLDING,
        input_id=input_id,
        request_id=request_id,
        **columns,
    )


def note_asked(*, batch: StoredBatch) -> bool:
    """Note that the provider is about to be asked.

    Returns:
        False if the batch was dropped: do not ask.
    """
    noted = bool(_with(batch, HOLDING).update(status=ASKED))
    batch.status = ASKED if noted else batch.status
    return noted


def note_created(*, batch: StoredBatch, provider_id: str, answer: Mapping[str, Any]) -> bool:
    """Note that the provider has created a batch.

    Returns:
        False if somebody dropped it.

    Raises:
        AlreadyStored: It has the id of another one.
    """
    try:
        with transaction.atomic():
            _with(batch, ASKED).update(provider_id=provider_id, **columns_of_answer(answer))
    except IntegrityError:
        raise AlreadyStored(provider_id) from None
    current = StoredBatch.objects.filter(tenant_id=batch.tenant_id, pk=batch.pk)
    if not current.filter(provider_id=provider_id).exists():
        return False
    batch.refresh_from_db()
    return True


def drop(*, batch: StoredBatch) -> None:
    """Forget a batch that was not created."""
    StoredBatch.objects.filter(tenant_id=batch.tenant_id, pk=batch.pk, status__in=PENDING).delete()


def _with(batch: StoredBatch, status: str) -> Any:
    return StoredBatch.objects.filter(tenant_id=batch.tenant_id, pk=batch.pk, status=status)
