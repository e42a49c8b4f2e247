"""What changes the ledger, on Django's connection: hold, mark as sent, settle, void, record. The data plane runs the same statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from quotas import statements
from quotas.statements import Dialect, FinishResult, HoldRequest, HoldResult, R, Record, Steps


def dialect() -> Dialect:
    """The dialect of Django's own connection."""
    return statements.POSTGRES if connection.vendor == "postgresql" else statements.DJANGO_SQLITE


def _execute(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def _run(steps: Steps[R]) -> R:
    with transaction.atomic():
        return statements.run(steps, _execute)


def hold(request: HoldRequest, *, now: datetime | None = None) -> HoldResult:
    """Reserve credits before a call. Raises UnknownPool. `now` is the clock of tests."""
    return _run(statements.hold(request, dialect(), now=now))


def mark_sent(*, tenant_id: UUID, hold_id: UUID) -> bool:
    """Note that the request is about to leave. False: the hold is finished already, do not send."""
    return _run(statements.mark_sent(tenant_id=tenant_id, hold_id=hold_id, dialect=dialect()))


def settle(*, hold_id: UUID, record: Record, used: int | None = None, reason: str = "") -> FinishResult:
    """Charge a finished call, `used` credits or all that were held, and write its record. Repeating it changes nothing."""
    return _run(statements.settle(hold_id=hold_id, record=record, used=used, reason=reason, dialect=dialect()))


def void(*, hold_id: UUID, record: Record, reason: str) -> FinishResult:
    """Give the credits of a failed call back and write its record. Repeating it changes nothing."""
    return _run(statements.void(hold_id=hold_id, record=record, reason=reason, dialect=dialect()))


def record_call(record: Record) -> bool:
    """Write the record of a call with an own key. False: it was there already."""
    return _run(statements.record_call(record, dialect()))
