"""The steps of many calls, for one transaction. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from core.db.dialect import Dialect
from core.db.statements import Given, Part, Statements, together
from quotas.ledger import holds
from quotas.ledger.records import record_calls
from quotas.ledger.states import Finish, FinishResult, HoldRequest, HoldResult, HoldState, Mark

Member = HoldRequest | Mark | Finish
Results = Mapping[UUID, HoldResult | FinishResult] | set[UUID]

POOLED: Final = Given("pooled", (("id", "bigint"),))
ENDING: Final = Given("ending", (("id", "uuid"),))
LOCKED: Final = Part(
    "locked",
    "SELECT id FROM quotas_creditpool WHERE id IN (SELECT id FROM pooled UNION "
    "SELECT hold.pool_id FROM quotas_hold AS hold JOIN ending ON ending.id = hold.id) "
    "ORDER BY id {lock}",
    reads=("pooled", "ending"),
    returns=("id",),
)


def key_of(member: Member) -> UUID:
    """Return what no two members of a group may share."""
    if isinstance(member, Finish):
        return member.hold_id or member.record.id
    return member.hold_id


class Group:
    """What some calls do to the ledger at the same time, in one transaction.

    Ends come first, so that holds may have the credits which they release.

    Args:
        members: Each with another key.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._requests = [member for member in members if isinstance(member, HoldRequest)]
        self._marks = [member for member in members if isinstance(member, Mark)]
        ends = [member for member in members if isinstance(member, Finish)]
        self._ends = [end for end in ends if end.hold_id is not None]
        self._records = [end.record for end in ends if end.hold_id is None]
        self._results: dict[UUID, Any] = {}

    def steps(self, dialect: Dialect, *, now: datetime | None = None) -> list[Statements[None]]:
        """Return the steps. If the dialect joins statements, each step has one query.

        Args:
            now: Current time, for tests; the database's clock by default.
        """
        self._results = {}
        steps = []
        if self._requests and self._ends and dialect.lock:
            steps.append(self._lock(dialect))
        if self._ends:
            steps.append(self._run(holds.finish_all(self._ends, dialect)))
        if self._requests:
            steps.append(self._run(holds.hold_all(self._requests, dialect, now=now)))
        if self._marks:
            steps.append(self._run(holds.mark_all(self._marks, dialect)))
        if self._records:
            steps.append(self._run(record_calls(self._records, dialect)))
        return steps

    def result(self, member: Member) -> tuple[bool, Any]:
        """Return whether a member needs no further step, and its result."""
        result = self._results.get(key_of(member))
        if isinstance(member, Mark):
            return True, result is not None
        is_record = isinstance(member, Finish) and member.hold_id is None
        return is_record or result is not None, None if is_record else result

    def _lock(self, dialect: Dialect) -> Statements[None]:
        """Lock the pools of ends and holds at once, because all must be locked in one order."""
        pools = [(pool_id,) for pool_id in {request.pool_id for request in self._requests}]
        ends = [(end.hold_id,) for end in self._ends]
        yield from together([(POOLED, pools), (ENDING, ends)], [(LOCKED, ())], ("locked",), dialect)

    def _run(self, step: Statements[Any]) -> Statements[None]:
        results: Results = yield from step
        self._results |= results if isinstance(results, dict) else dict.fromkeys(results, True)


def alone(
    member: Member, dialect: Dialect, *, now: datetime | None = None
) -> Callable[[], Statements[Any]]:
    """Return the step of a member that its group could not take, which tells why."""
    if isinstance(member, HoldRequest):
        return lambda: holds.hold(member, dialect, now=now)
    assert isinstance(member, Finish)
    return lambda: holds.finish(member, dialect)


def is_locked(member: Member, result: HoldResult | FinishResult) -> bool:
    """Tell whether a member was refused only because its pool is locked by others."""
    if isinstance(member, HoldRequest):
        return result.state is HoldState.EXHAUSTED and result.left >= member.amount
    return result.state == "held"
