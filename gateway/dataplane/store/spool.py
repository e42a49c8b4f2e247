"""Ends of calls that the database could not take: one line each in a file, made durable, written to
the database later.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.dataplane.errors import DatabaseAway
from gateway.dataplane.store.base import Finish
from quotas.ledger.records import Record

logger = logging.getLogger(__name__)
FILE: Final = "spool.jsonl"
REJECTED: Final = (
    "spool.rejected.jsonl"  # lines the database will never take; an operator looks at them
)


class Spool:
    """A file shared by the processes of one machine. `folder`: DATA_DIR.

    A line that was acknowledged is on the disk. Replaying it twice is harmless, so a process that
    dies while it replays loses nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._rejected = folder / REJECTED

    async def append(self, finish: Finish) -> None:
        """Write one line and wait until it is on the disk."""
        await asyncio.to_thread(
            self._append, self._path, orjson.dumps(asdict(finish), default=str) + b"\n"
        )

    async def replay(self, write: Callable[[Finish], Coroutine[Any, Any, Any]]) -> int:
        """Hand every line to `write`; how many it took. Stops, and keeps all, where it raises
        DatabaseAway.
        """
        if not self._has_lines():
            return 0
        loop = asyncio.get_running_loop()

        def write_and_wait(finish: Finish) -> None:
            asyncio.run_coroutine_threadsafe(write(finish), loop).result()

        return await asyncio.to_thread(self._replay, write_and_wait)

    def _has_lines(self) -> bool:
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def _append(self, path: Path, line: bytes) -> None:
        with _locked(path) as descriptor:
            os.write(descriptor, line)
            os.fsync(descriptor)

    def _replay(self, write: Callable[[Finish], None]) -> int:
        with _locked(self._path) as descriptor:
            lines = self._path.read_bytes().splitlines()
            try:
                for line in lines:
                    self._replay_line(line, write)
            except DatabaseAway:
                return 0
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
        return len(lines)

    def _replay_line(self, line: bytes, write: Callable[[Finish], None]) -> None:
        try:
            write(_read(line))
        except DatabaseAway:
            raise
        except Exception:
            logger.exception(
                "A line of the spool cannot be written to the database; it is kept in %s",
                self._rejected,
            )
            self._append(self._rejected, line + b"\n")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, opened for appending and locked against the machine's other processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


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
