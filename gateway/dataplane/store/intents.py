"""The calls that a process has sent, in a file that survives it: when killed, it writes no records.

A call has a slot of the file, mapped into memory, from just before it is sent until its end is
written. Nothing waits for the disk: what is in the system's cache survives the process, though not
the machine. Once the process is gone, others write what is left as calls with an unknown outcome.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import mmap
import os
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from gateway.dataplane.errors import DatabaseUnavailable
from quotas.ledger.records import Record
from quotas.ledger.states import Finish

logger = logging.getLogger(__name__)
FILE: Final = "intents.{}"
SLOT: Final = 1024  # bytes; the first one tells whether the slot is in use
SLOTS: Final = 4096  # calls at once; those beyond go without
_CUT: Final = {"model": 60, "source": 40, "app_key_name": 20}  # characters, if a call is too long
_IDS: Final = ("id", "tenant_id", "app_key_id", "credential_id")


class Intents:
    """The calls of one process, and those that dead processes left.

    Args:
        folder: DATA_DIR.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None  # made by each process, also if they are forks
        self._descriptor: int | None = None
        self._memory: mmap.mmap | None = None
        self._slots: dict[UUID, int] = {}  # record -> the slot's first byte
        self._free: list[int] = []

    async def open(self) -> None:
        """Make the file. If that fails, calls go without."""
        try:
            await asyncio.to_thread(self._open)
        except OSError as problem:
            self.close()
            logger.warning("Calls under way can't be noted in DATA_DIR: %s", problem)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / FILE.format(uuid4().hex)
        hidden = path.with_name(f".{path.name}")  # until it is locked
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._map(self._descriptor)
            hidden.rename(path)
            self._path = path
        except OSError:
            hidden.unlink()
            raise

    def _map(self, descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Reserved, because writing to a mapped file on a full disk would kill the process.
        os.posix_fallocate(descriptor, 0, SLOT * SLOTS)
        self._memory = mmap.mmap(descriptor, SLOT * SLOTS)
        self._free = [SLOT * number for number in reversed(range(SLOTS))]

    def close(self) -> None:
        """Delete the file, unless a call is left in it."""
        if self._memory is not None:
            self._memory.close()
            self._memory, self._free = None, []
            if self._path is not None and not self._slots:
                self._path.unlink(missing_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def note(self, record_id: UUID, facts: Mapping[str, Any]) -> None:
        """Note that a call is about to be sent, perhaps again.

        Args:
            facts: Fields of its record.
        """
        slot = self._slots.get(record_id)
        if self._memory is None or (slot is None and not self._free):
            return
        line = orjson.dumps({"id": record_id, **facts}, default=str)
        if len(line) >= SLOT:
            cut = {name: facts[name][:length] for name, length in _CUT.items() if name in facts}
            line = orjson.dumps({"id": record_id, **facts, **cut}, default=str)[: SLOT - 1]
        if slot is None:
            slot = self._slots[record_id] = self._free.pop()
        self._memory[slot] = 0
        self._memory[slot + 1 : slot + SLOT] = line.ljust(SLOT - 1)
        self._memory[slot] = 1  # last, so that no half of a line is in use

    def end(self, record_id: UUID) -> None:
        """Note that the end of a call is kept elsewhere, or that it was not sent after all."""
        slot = self._slots.pop(record_id, None)
        if slot is not None and self._memory is not None:
            self._memory[slot] = 0
            self._free.append(slot)

    async def recover(self, write: Callable[[Finish], Coroutine[Any, Any, Any]]) -> int:
        """Write the calls of processes that died.

        Raises:
            DatabaseUnavailable: The database is unavailable; they are kept.

        Returns:
            The number of calls.
        """
        count = 0
        for path in await asyncio.to_thread(self._others):
            count += await self._recover_file(path, write)
        return count

    def _others(self) -> list[Path]:
        return [path for path in self._folder.glob(FILE.format("*")) if path != self._path]

    async def _recover_file(
        self, path: Path, write: Callable[[Finish], Coroutine[Any, Any, Any]]
    ) -> int:
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return 0
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return 0  # its process lives, or another one recovers it
            ends = list(map(_read, await asyncio.to_thread(_lines, file.read())))
            for end in ends:
                await _written(end, write)
            path.unlink(missing_ok=True)
        return len(ends)


async def _written(end: Finish, write: Callable[[Finish], Coroutine[Any, Any, Any]]) -> None:
    try:
        await write(end)
    except DatabaseUnavailable:
        raise
    except Exception:
        logger.exception("Cannot record call %s of a process that died", end.record.request_id)


def _lines(content: bytes) -> list[bytes]:
    starts = range(0, len(content), SLOT)
    return [content[start + 1 : start + SLOT] for start in starts if content[start] == 1]


def _read(line: bytes) -> Finish:
    facts = orjson.loads(line)
    for name in _IDS:
        facts[name] = UUID(facts[name]) if facts.get(name) else None
    facts["time"] = datetime.fromisoformat(facts["time"])
    return Finish(Record(**facts, status="error", error_code="unknown", http_status=0))
