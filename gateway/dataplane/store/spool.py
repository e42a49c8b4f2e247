"""A durable file of finished calls to write to the database once it is available again."""

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

from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.base import Finish
from quotas.ledger.records import Record

logger = logging.getLogger(__name__)
FILE: Final = "spool.jsonl"
REJECTED: Final = "spool.rejected.jsonl"  # lines the database rejects, for an operator to inspect


class Spool:
    """A spool file shared by all processes on one machine.

    An acknowledged line is on disk. Replaying is idempotent, so a process that dies during a
    replay loses nothing.

    Args:
        folder: DATA_DIR.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._rejected = folder / REJECTED

    async def append(self, finish: Finish) -> None:
        """Append one line and wait until it is on disk."""
        await asyncio.to_thread(
            self._append, self._path, orjson.dumps(asdict(finish), default=str) + b"\n"
        )

    async def replay(self, write: Callable[[Finish], Coroutine[Any, Any, Any]]) -> int:
        """Pass every line to `write`.

        If `write` raises DatabaseUnavailable, stop and keep all lines.

        Returns:
            The number of lines replayed.
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
            except DatabaseUnavailable:
                return 0
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
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
            self._append(self._rejected, line + b"\n")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file for appending, locked against other processes on this machine."""
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
