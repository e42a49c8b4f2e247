"""Write log lines in a thread of their own, so that no call waits for the disk or a collector."""

from __future__ import annotations

import asyncio
import fcntl
import io
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO
from weakref import WeakSet

from core.metrics.kinds import Counter

DELAY: Final = 0.25  # seconds that lines wait for others
MOST: Final = 4 * 1024 * 1024  # characters that wait if they can't be written
RETRY: Final = 0.25  # seconds after a write that failed
LAST: Final = 3.0  # seconds to write what is left when the process ends
DROPPED: Final = Counter(
    "modelkeep_log_lines_dropped_total", "Lines of the log that could not be written in time."
)
# Processes that write to the same place take turns: longer writes to a pipe would mix. The kernel
# frees the lock of a process that dies.
_turn: Final = os.memfd_create("modelkeep-log")


class LineHandler(logging.StreamHandler[TextIO]):
    """Write the lines of an event loop, and of the threads beside it, together and in their order.

    They wait up to DELAY for others, or until there is a warning. A process without an event loop,
    such as a command, writes each line at once.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._size = 0
        self._dropped = 0
        self._is_writing = False
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
            if self._thread is None and not _in_event_loop():
                _write(self.stream, line)
                return
            self._keep(line)
            if record.levelno >= logging.WARNING:
                self._urgent.set()
        except Exception:
            self.handleError(record)

    def _keep(self, line: str) -> None:
        with self._changed:
            if self._size + len(line) > MOST:
                self._dropped += 1
                DROPPED.add()
                return
            self._lines.append(line)
            self._size += len(line)
            if len(self._lines) == 1:
                self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="log", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
            self._urgent.wait(DELAY)
            self._urgent.clear()
            with self._changed:
                text = "".join(self._lines) + self._told_dropped()
                self._lines, self._size, self._is_writing = [], 0, True
            self._persist(text)
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _told_dropped(self) -> str:
        """Return a line about those that were left out, if there are any."""
        count, self._dropped = self._dropped, 0
        if not count:
            return ""
        says = "The log could not be written in time: %d lines are missing here"
        record = logging.LogRecord("modelkeep.log", logging.WARNING, "", 0, says, (count,), None)
        return self.format(record) + self.terminator

    def _persist(self, text: str) -> None:
        """Write, however long a disk stays full. What comes meanwhile waits, up to MOST."""
        while text:
            try:
                _write(self.stream, text)
                return
            except _CutShort as cut:
                text = cut.rest
                time.sleep(RETRY)

    def flush(self) -> None:
        """Wait until all lines are written, but for no longer than LAST."""
        self._urgent.set()
        if self._thread is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._is_writing), LAST)


class _CutShort(OSError):
    """Not everything was written.

    Attributes:
        rest: What is left, from the beginning of the line that was cut.
    """

    def __init__(self, rest: str) -> None:
        super().__init__("the log can't be written")
        self.rest = rest


def _write(stream: TextIO, text: str) -> None:
    """Write to a stream's descriptor, past its buffers, whose pieces would end within lines."""
    if stream.closed:  # as the process ends
        return
    try:
        descriptor = stream.fileno()
    except (io.UnsupportedOperation, AttributeError):  # a test's
        stream.write(text)
        return
    data, done = text.encode("utf-8", "backslashreplace"), 0
    try:
        with _in_turn():
            while done < len(data):
                done += os.write(descriptor, data[done:])
    except OSError:
        begin = data.rfind(b"\n", 0, done) + 1
        again = b"\n" if begin < done else b""  # the rest of a line that was cut is not mixed in
        raise _CutShort((again + data[begin:]).decode()) from None


@contextmanager
def _in_turn() -> Iterator[None]:
    fcntl.lockf(_turn, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(_turn, fcntl.LOCK_UN)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _begin_again() -> None:
    """In a child process, leave to the parent what the parent will write."""
    for handler in _handlers:
        handler._begin()


_handlers: Final[WeakSet[LineHandler]] = WeakSet()
os.register_at_fork(after_in_child=_begin_again)
