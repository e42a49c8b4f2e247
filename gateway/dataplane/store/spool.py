"""A durable file of finished calls to write to the database once it is available again."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from gateway.dataplane.errors import DatabaseUnavailable
from quotas.ledger.records import Record
from quotas.ledger.states import Finish

logger = logging.getLogger(__name__)
FILE: Final = "spool.jsonl"
REJECTED: Final = "spool.rejected.jsonl"  # lines the database rejects, for an operator to inspect
MOVED: Final = "spool.{}.replay"  # lines that are being replayed
RESERVE: Final = "spool.reserve"  # deleted when the disk is full, to make room for lines
RESERVED: Final = 1024 * 1024  # bytes
PROBE: Final = 4096  # bytes; fewer may fit into a block that the file has already
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spool:
    """A spool shared by all processes on one machine.

    An acknowledged line is on disk. Replaying is idempotent, so a process that dies during a
    replay loses nothing: its file is taken over by the next replay.

    Args:
        folder: DATA_DIR.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._rejected = folder / REJECTED
        self._reserve = folder / RESERVE
        self._descriptor: int | None = None  # kept, for when there are no others left
        self._lock = threading.Lock()  # flock does not tell this process's threads apart
        # The loop's own threads may all be waiting for a database that hangs.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def open(self) -> None:
        """Open the file and reserve room for a disk that is full. Failures are only logged."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            with self._locked():
                pass
            if not self._reserve.exists():
                with self._reserve.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, RESERVED)
        except OSError as problem:
            logger.warning("The spool in DATA_DIR cannot be prepared: %s", problem)

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    async def append(self, finish: Finish) -> None:
        """Append one line and wait until it is on disk.

        Raises:
            OSError: It is not.
        """
        await self._run(self._append, line_of(finish))

    async def probe(self) -> None:
        """Raise OSError if lines can't be written."""
        await self._run(self._append, b"\n" * PROBE)

    async def _run(self, work: Callable[[bytes], None], lines: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, work, lines)

    async def replay(self, write: Callable[[Finish], Coroutine[Any, Any, Any]]) -> int:
        """Pass every line to `write`. Meanwhile, lines can be appended.

        If `write` raises DatabaseUnavailable, stop and keep all lines.

        Returns:
            The number of lines replayed.
        """
        loop = asyncio.get_running_loop()

        def write_and_wait(finish: Finish) -> None:
            asyncio.run_coroutine_threadsafe(write(finish), loop).result()

        return await asyncio.to_thread(self._replay, write_and_wait)

    def _append(self, lines: bytes) -> None:
        with self._locked() as descriptor:
            try:
                _write(descriptor, lines)
            except OSError as problem:
                if problem.errno not in _FULL or not self._reserve.exists():
                    raise
                self._reserve.unlink(missing_ok=True)
                _write(descriptor, lines)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file, unless it is open, and lock it against other processes and threads."""
        with self._lock:
            descriptor = self._current()
            try:
                yield descriptor
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _current(self) -> int:
        while True:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self._path, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if _is_at(self._descriptor, self._path):
                return self._descriptor
            os.close(self._descriptor)  # it was moved for a replay, or deleted
            self._descriptor = None

    def _replay(self, write: Callable[[Finish], None]) -> int:
        count = 0
        try:
            count += self._replay_moved(write)
            # Only now: while the database is away, lines stay together.
            if self._move():
                count += self._replay_moved(write)
        except DatabaseUnavailable:
            return count
        if count and not self._reserve.exists():
            self._open()
        return count

    def _replay_moved(self, write: Callable[[Finish], None]) -> int:
        """Replay the files that were put aside, also by processes that died."""
        files = sorted(self._path.parent.glob(MOVED.format("*")))
        return sum(self._replay_file(path, write) for path in files)

    def _move(self) -> bool:
        """Put the lines so far aside, so that their replay locks no one out; tell if there are
        any.
        """
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        with self._locked() as descriptor:
            if os.fstat(descriptor).st_size:
                self._path.rename(self._path.with_name(MOVED.format(uuid4().hex)))
        return True

    def _replay_file(self, path: Path, write: Callable[[Finish], None]) -> int:
        """Replay a file, unless another process does."""
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return 0
        with file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return 0
            if not _is_at(file.fileno(), path):
                return 0
            lines = [line for line in file.read().split(b"\n") if line]
            for line in lines:
                self._replay_line(line, write)
            path.unlink()
        return len(lines)

    def _replay_line(self, line: bytes, write: Callable[[Finish], None]) -> None:
        try:
            write(_read(line))
        except DatabaseUnavailable:
            raise
        except Exception:
            logger.exception(
                "A spool entry cannot be written to the database; it is kept in %s",
                self._rejected,
            )
            descriptor = os.open(self._rejected, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _write(descriptor, line + b"\n")
            finally:
                os.close(descriptor)


def line_of(finish: Finish) -> bytes:
    return orjson.dumps(asdict(finish), default=str) + b"\n"


def _write(descriptor: int, lines: bytes) -> None:
    """Write all or nothing, to the disk."""
    size = os.fstat(descriptor).st_size
    try:
        left = memoryview(lines)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read(line: bytes) -> Finish:
    stored = orjson.loads(line)
    record = stored["record"]
    for name in ("tenant_id", "id", "app_key_id", "credential_id"):
        record[name] = UUID(record[name]) if record[name] else None
    record["time"] = datetime.fromisoformat(record["time"])
    record["cost"] = Decimal(record["cost"]) if record["cost"] is not None else None
    hold_id = UUID(stored["hold_id"]) if stored["hold_id"] else None
    return Finish(
        Record(**record),
        hold_id,
        voided=stored["voided"],
        used=stored["used"],
        reason=stored["reason"],
    )
