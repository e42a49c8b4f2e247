"""The steps of one call on Django's connection, as the gateway runs them on its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from core.db.connection import dialect, execute
from core.db.statements import R, Statements, run
from quotas.ledger import holds, records
from quotas.ledger.groups import Group, Member, alone
from quotas.ledger.records import Record
from quotas.ledger.states import FinishResult, HoldRequest, HoldResult, UnknownHold


def _run(steps: Statements[R]) -> R:
    with transaction.atomic():
        return run(steps, execute)


def write(members: Sequence[Member], *, now: datetime | None = None) -> list[Any]:
    """Write what several calls do at the same time: together, then alone what doesn't fit.

    Returns:
        The result of each; the error of an end without a hold.
    """
    group, sql = Group(members), dialect()
    with transaction.atomic():
        for step in group.steps(sql, now=now):
            run(step, execute)
    return [_result(group, member, now) for member in members]


def _result(group: Group, member: Member, now: datetime | None) -> Any:
    is_done, result = group.result(member)
    if is_done:
        return result
    try:
        return _run(alone(member, dialect(), now=now)())
    except UnknownHold as problem:
        return problem


def hold(request: HoldRequest, *, now: datetime | None = None) -> HoldResult:
    """Reserve credits before a call.

    Args:
        now: Current time, for tests; the database's clock by default.

    Raises:
        UnknownPool: The tenant has no such pool.
    """
    return _run(holds.hold(request, dialect(), now=now))


def mark_sent(*, tenant_id: UUID, hold_id: UUID) -> bool:
    """Note that the request is about to be sent.

    Returns:
        False if the hold is already finished: do not send the request.
    """
    return _run(holds.mark_sent(tenant_id=tenant_id, hold_id=hold_id, dialect=dialect()))


def settle(
    *, hold_id: UUID, record: Record, used: int | None = None, reason: str = ""
) -> FinishResult:
    """Charge for a finished call and write its record; repeating it changes nothing.

    Args:
        used: Credits to charge; None charges all that were held.
    """
    return _run(
        holds.settle(hold_id=hold_id, record=record, used=used, reason=reason, dialect=dialect())
    )


def void(*, hold_id: UUID, record: Record, reason: str) -> FinishResult:
    """Release the credits of a failed call and write its record; repeating it changes nothing."""
    return _run(holds.void(hold_id=hold_id, record=record, reason=reason, dialect=dialect()))


def record_call(record: Record) -> bool:
    """Write the record of a call made with the tenant's own credential.

    Returns:
        False if the record already existed.
    """
    return _run(records.record_call(record, dialect()))
