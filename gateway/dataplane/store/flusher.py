"""Group commit: what calls do to the ledger at the same time goes in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from core.db.dialect import Dialect
from core.db.statements import Statements
from gateway.dataplane.errors import DatabaseUnavailable
from quotas.ledger.groups import Group, Member, alone, key_of
from quotas.ledger.states import Finish

logger = logging.getLogger(__name__)
MOST: Final = 256  # members of one transaction
# How long more members are waited for, after a transaction that had several.
LINGER_SECONDS: Final = 0.002

Lost = Callable[[Finish, Exception], None]


class Transactions(Protocol):
    """The part of a database that the flusher needs."""

    dialect: Dialect

    async def transaction(self, make: Callable[[], Sequence[Statements[None]]]) -> None: ...

    async def run(self, make: Callable[[], Statements[Any]]) -> Any: ...


@dataclass(slots=True, eq=False)
class _Waiting:
    member: Member
    future: asyncio.Future[Any]
    lost: Lost | None

    def succeed(self, result: Any) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, problem: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(problem)
        elif self.lost is not None and isinstance(self.member, Finish):
            self.lost(self.member, problem)


class Flusher:
    """Writes members one transaction after the other. One per process.

    What arrives while a transaction is under way goes in the next one. A member whose group fails
    is tried again in ever smaller groups, so that it takes no other with it.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()

    def write(self, member: Member, lost: Lost | None = None) -> asyncio.Future[Any]:
        """Write a member; its future is done when that is committed.

        Args:
            lost: Called with the end of a call that could not be written, if its caller was
                cancelled meanwhile.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue.append(_Waiting(member, future, lost))
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

    async def _write(self, waiting: Sequence[_Waiting]) -> None:
        group = Group([one.member for one in waiting])
        dialect = self._database.dialect
        try:
            await self._database.transaction(lambda: group.steps(dialect))
        except DatabaseUnavailable as problem:
            for one in waiting:
                one.fail(problem)
        except Exception as problem:  # the fault of a member
            if len(waiting) == 1:
                waiting[0].fail(problem)
                return
            half = len(waiting) // 2
            await self._write(waiting[:half])
            await self._write(waiting[half:])
        else:
            for one in waiting:
                self._deliver(one, *group.result(one.member))

    def _deliver(self, one: _Waiting, is_done: bool, result: Any) -> None:
        if is_done:
            one.succeed(result)
            return
        task = asyncio.get_running_loop().create_task(self._try_alone(one))
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _try_alone(self, one: _Waiting) -> None:
        try:
            one.succeed(await self._database.run(alone(one.member, self._database.dialect)))
        except Exception as problem:
            one.fail(problem)
