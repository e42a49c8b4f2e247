"""Note the files and batches that providers keep for a workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.db.connection import dialect, execute
from core.db.dialect import read_uuid
from core.db.statements import Part, single
from core.ids import uuid7
from providers.models import Stored, StoredBatch, StoredFile
from providers.stored.ids import Identity, is_sound
from providers.stored.owners import Owner, account_columns, account_id
from providers.stored.queries import find, outputs_of
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

OUTPUT: Final = "batch_output"  # OpenAI's word for the purpose of such files
MOST_ANSWER: Final = 32 * 1024  # bytes of a batch's answer that are kept
_WORD: Final = re.compile(r"[a-z_]{1,20}")  # a status
Row = TypeVar("Row", bound=Stored)


class AlreadyStored(Exception):
    """The provider gave a new file or batch the id of another one."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What a batch, or its file, calls: the path here, and how many lines call each model.

    Models have the provider's names.
    """

    path: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)


def add_file(
    *,
    owner: Owner,
    principal: Principal,
    provider_id: str,
    purpose: str,
    filename: str,
    size: int,
    calls: Calls,
) -> StoredFile:
    """Note a file that was uploaded. Raises AlreadyStored."""
    row = StoredFile(
        purpose=purpose,
        filename=filename,
        size=size,
        line_counts=dict(calls.lines),
        **common_columns(owner, principal, provider_id, calls),
    )
    return _saved(row)


def add_batch(
    *,
    owner: Owner,
    principal: Principal,
    provider_id: str,
    calls: Calls,
    answer: Mapping[str, Any],
    request_id: str,
    input_id: str = "",
) -> StoredBatch:
    """Note a batch that was created, from the file `input_id` if from one.

    Raises:
        AlreadyStored: It has the id of another one.
    """
    row = StoredBatch(
        input_id=input_id,
        request_id=request_id,
        **columns_of_answer(answer),
        **common_columns(owner, principal, provider_id, calls),
    )
    return _saved(row)


def common_columns(
    owner: Owner, principal: Principal, provider_id: str, calls: Calls
) -> dict[str, Any]:
    return {
        **owner.columns,
        "tenant_id": owner.tenant_id,
        "provider": owner.provider,
        "provider_id": provider_id,
        "path": calls.path,
        "model_names": list(calls.lines),
        "app_key_id": principal.app_key_id,
        "app_key_name": principal.app_key_name,
        "user_id": principal.user_id,
    }


def _saved(row: Row) -> Row:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        identity = Identity(row.provider, account_id(row), row.provider_id)
        is_known = find(type(row), identity, tenant_id=row.tenant_id) is not None
        if is_known or row.plan_id is not None:  # then it may be another workspace's
            raise AlreadyStored(row.provider_id) from None
        raise
    return row


def note_answer(*, batch: StoredBatch, answer: Mapping[str, Any]) -> None:
    """Keep the provider's last word on a batch, and note the files that it wrote."""
    columns = columns_of_answer(answer)
    batch.answer, batch.status = columns["answer"], columns["status"]
    batch.save(update_fields=["answer", "status"])
    for provider_id in outputs_of(batch):
        with suppress(IntegrityError):  # the operator's account keeps it for another workspace
            _note_output(batch, provider_id)


def _note_output(batch: StoredBatch, provider_id: str) -> None:
    StoredFile.objects.get_or_create(
        tenant_id=batch.tenant_id,
        provider_id=provider_id,
        **account_columns(account_id(batch)),
        defaults={
            "provider": batch.provider,
            "purpose": OUTPUT,
            "filename": f"{provider_id}.jsonl",
            "path": batch.path,
            "model_names": batch.model_names,
            "app_key_id": batch.app_key_id,
            "app_key_name": batch.app_key_name,
            "user_id": batch.user_id,
        },
    )


def columns_of_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an answer; a long or odd one loses what is not needed here."""
    kept = dict(answer) if _is_storable(answer) else {}
    for name in ("output_file_id", "error_file_id"):
        kept[name] = answer[name] if is_sound(answer.get(name)) else None
    status = answer.get("status")
    kept["status"] = status if isinstance(status, str) and _WORD.fullmatch(status) else ""
    return {"answer": kept, "status": kept["status"]}


def _is_storable(answer: Mapping[str, Any]) -> bool:
    """Tell whether an answer is short and without what PostgreSQL refuses: NUL, half a pair."""
    try:
        data = orjson.dumps(answer)
    except (TypeError, ValueError):
        return False
    return len(data) <= MOST_ANSWER and b"\\u0000" not in data


# -- recording -------------------------------------------------------------------------------------

_CLAIM: Final = Part(
    "claimed",
    "UPDATE providers_storedbatch SET checked = {now} WHERE id IN ("
    "SELECT id FROM providers_storedbatch WHERE recorded IS NULL AND checked < {p} "
    "ORDER BY checked LIMIT {p} {skip_locked}) RETURNING tenant_id, id",
    table="providers_storedbatch",
)


def claim_due(*, after: timedelta, most: int) -> list[tuple[UUID, UUID]]:
    """Choose batches whose usage is not recorded and about which nobody has asked for a while.

    Only one process gets each of them.

    Returns:
        Workspaces and batches.
    """
    due = timezone.now() - after
    query = single(_CLAIM, (None, due, most), dialect())
    rows = execute(query.sql, query.params)
    return [(read_uuid(tenant_id), read_uuid(batch_id)) for tenant_id, batch_id in rows]


def begin_recording(*, batch: StoredBatch) -> UUID:
    """Return the id of the batch's first record, which is the same for all processes."""
    rows = StoredBatch.objects.filter(pk=batch.pk)
    rows.filter(record_id=None).update(record_id=uuid7())
    batch.refresh_from_db(fields=["record_id"])
    assert batch.record_id is not None
    return UUID(str(batch.record_id))


def end_recording(*, tenant_id: UUID, batch_id: UUID, sizes: Mapping[str, int]) -> None:
    """Note that a batch's usage is recorded, and the sizes of the files that were read."""
    with tenant_scope(tenant_id):
        batch = StoredBatch.objects.filter(pk=batch_id).first()
        if batch is None:  # its credential was deleted
            return
        StoredBatch.objects.filter(pk=batch_id, recorded=None).update(recorded=timezone.now())
        for provider_id, size in sizes.items():
            StoredFile.objects.filter(
                provider_id=provider_id, **account_columns(account_id(batch))
            ).update(size=size)
