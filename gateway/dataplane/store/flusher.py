"""Group commit: what calls do to the ledger at the same time goes in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from core.db.dialect import Dialect
from core.db.statements import Statements
from gateway.dataplane.errors import DatabaseLocked, DatabaseUnavailable
from quotas.ledger.groups import Group, Member, alone, is_locked, key_of
from quotas.ledger.states import Finish

logger = logging.getLogger(__name__)
MOST: Final = 256  # members of one transaction
# How long more members are waited for, after a transaction that had several.
LINGER_SECONDS: Final = 0.002
# After a lock that was not free in time, for how long no other is waited for longer than this.
HURRY_SECONDS: Final = 10.0
HURRIED_LOCK_SECONDS: Final = 0.2

Orphaned = Callable[[Finish, Exception | None], object]


class Transactions(Protocol):
    """The part of a database that the flusher needs."""

    dialect: Dialect

    async def transaction(
        self, make: Callable[[], Sequence[Statements[None]]], lock_seconds: float | None = None
    ) -> None: ...

    async def run(self, make: Callable[[], Statements[Any]]) -> Any: ...


@dataclass(slots=True, eq=False)
class _Waiting:
    member: Member
    future: asyncio.Future[Any]
    orphaned: Orphaned | None
    is_tried: bool = False  # whether its group has been committed, or refused

    def succeed(self, result: Any) -> None:
        self.is_tried = True
        if not self.future.done():
            self.future.set_result(result)
        elif self.orphaned is not None and isinstance(self.member, Finish):
            self.orphaned(self.member, None)

    def fail(self, problem: Exception) -> None:
        self.is_tried = True
        if not self.future.done():
            self.future.set_exception(problem)
        elif self.orphaned is not None and isinstance(self.member, Finish):
            self.orphaned(self.member, problem)


class Flusher:
    """Writes members one transaction after the other. One per process.

    What arrives while a transaction is under way goes in the next one. A member whose group fails
    is tried again in ever smaller groups, so that it takes no other with it.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._usual = self._hurried = database.dialect
        if self._usual.lock:
            self._hurried = replace(self._usual, lock=f"{self._usual.lock} SKIP LOCKED")
        self._hurries_until = 0.0  # the loop's time
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()

    def write(self, member: Member, orphaned: Orphaned | None = None) -> asyncio.Future[Any]:
        """Write a member; its future is done when that is committed.

        Args:
            orphaned: Called with the end of a call whose caller was cancelled meanwhile, and with
                what kept it from being written, if anything did.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue.append(_Waiting(member, future, orphaned))
        if self._task is None:
            # It begins in the loop's next turn, so what is written in this one goes together.
            self._task = loop.create_task(self._drain())
        return future

    @property
    def waiting(self) -> int:
        """The number of members whose transaction has not begun."""
        return len(self._queue)

    async def close(self) -> None:
        """Wait until everything is written."""
        while self._task is not None or self._others:
            await asyncio.wait([*self._others, *([self._task] if self._task else [])])

    async def _drain(self) -> None:
        try:
            while self._queue:
                group = self._next()
                await self._write(group)
                if len(group) > 1:
                    await asyncio.sleep(LINGER_SECONDS)
        finally:
            self._task = None

    def _next(self) -> list[_Waiting]:
        """Take as many as go together; no two that concern the same hold or record."""
        taken: dict[Any, _Waiting] = {}
        later: list[_Waiting] = []
        while self._queue and len(taken) < MOST:
            waiting = self._queue.popleft()
            if taken.setdefault(key_of(waiting.member), waiting) is not waiting:
                later.append(waiting)
        self._queue.extendleft(reversed(later))
        return list(taken.values())

    @property
    def _is_hurried(self) -> bool:
        return asyncio.get_running_loop().time() < self._hurries_until

    async def _write(self, group: Sequence[_Waiting]) -> None:
        """Write a group.

        If a lock is not free in time, its members are tried once more without waiting for pools,
        and beginnings apart from ends, which need more tables: so those that need no such lock
        don't suffer with the others.
        """
        if not self._is_hurried:
            try:
                await self._commit(group, self._usual, None)
            except DatabaseLocked:
                self._hurries_until = asyncio.get_running_loop().time() + HURRY_SECONDS
            else:
                return
        left = [one for one in group if not one.is_tried]
        for is_end in (True, False):
            part = [one for one in left if isinstance(one.member, Finish) is is_end]
            await self._commit_hurriedly(part)

    async def _commit_hurriedly(self, group: Sequence[_Waiting]) -> None:
        try:
            await self._commit(group, self._hurried, HURRIED_LOCK_SECONDS)
        except DatabaseLocked as problem:
            self._hurries_until = asyncio.get_running_loop().time() + HURRY_SECONDS
            for one in group:
                if not one.is_tried:
                    one.fail(problem)

    async def _commit(
        self, waiting: Sequence[_Waiting], dialect: Dialect, lock_seconds: float | None
    ) -> None:
        """Write in one transaction, or in smaller ones if a member is at fault.

        Raises:
            DatabaseLocked: A lock was not free in time.
        """
        if not waiting:
            return
        group = Group([one.member for one in waiting])
        try:
            await self._database.transaction(lambda: group.steps(dialect), lock_seconds)
        except DatabaseLocked:
            raise
        except Exception as problem:
            if isinstance(problem, DatabaseUnavailable) or len(waiting) == 1:
                for one in waiting:
                    one.fail(problem)
                return
            half = len(waiting) // 2
            await self._commit(waiting[:half], dialect, lock_seconds)
            await self._commit(waiting[half:], dialect, lock_seconds)
        else:
            for one in waiting:
                self._deliver(one, *group.result(one.member))

    def _deliver(self, one: _Waiting, is_done: bool, result: Any) -> None:
        one.is_tried = True
        if is_done:
            one.succeed(result)
            return
        task = asyncio.get_running_loop().create_task(self._try_alone(one))
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _try_alone(self, one: _Waiting) -> None:
        dialect = self._hurried if self._is_hurried else self._usual
        try:
            result = await self._database.run(alone(one.member, dialect))
            if is_locked(one.member, result):
                raise DatabaseLocked("The credit pool is locked.")
        except Exception as problem:
            one.fail(problem)
        else:
            one.succeed(result)
