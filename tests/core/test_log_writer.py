"""Lines of the log are written beside the calls: all of them, whole, soon, holding up nobody."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import runpy
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from core.logging import writer
from core.logging.writer import LineHandler
from tests.source import ROOT

SMALL_PIPE = 4096  # bytes
LONG = 9_000  # characters, more than a pipe takes at once
Log = Callable[..., None]


def logged_to(handler: LineHandler) -> Log:
    def log(text: str, level: int = logging.INFO) -> None:
        handler.handle(logging.LogRecord("test", level, "", 0, text, (), None))

    return log


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TextIO]:
    with (tmp_path / "log").open("a+") as opened:
        yield opened


def written(file: TextIO) -> list[str]:
    return Path(file.name).read_text().splitlines()


def wait_for(file: TextIO, count: int) -> list[str]:
    until = time.monotonic() + 10
    while len(lines := written(file)) < count:
        assert time.monotonic() < until, lines
        time.sleep(0.01)
    return lines


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait for longer than a test runs."""
    monkeypatch.setattr(writer, "DELAY", 60.0)


def test_a_command_writes_at_once(file: TextIO) -> None:
    logged_to(LineHandler(file))("one")
    assert written(file) == ["one"]


def test_a_servers_lines_are_written_together_and_soon(file: TextIO) -> None:
    log = logged_to(LineHandler(file))

    async def work() -> None:
        began = time.monotonic()
        for number in range(100):
            log(str(number))
        await asyncio.to_thread(log, "of a page")
        assert time.monotonic() - began > writer.DELAY / 2 or written(file) == []

    asyncio.run(work())
    began = time.monotonic()
    assert wait_for(file, 101) == [*map(str, range(100)), "of a page"]
    assert time.monotonic() - began < 1


@pytest.mark.usefixtures("patient")
def test_a_warning_is_written_at_once_after_all_before_it(file: TextIO) -> None:
    log = logged_to(LineHandler(file))

    async def work() -> None:
        log("one")
        log("two", logging.WARNING)

    asyncio.run(work())
    assert wait_for(file, 2) == ["one", "two"]


@pytest.mark.usefixtures("patient")
def test_what_is_left_is_written_at_the_end(file: TextIO) -> None:
    handler = LineHandler(file)
    log = logged_to(handler)

    async def work() -> None:
        for number in range(1000):
            log(str(number))

    asyncio.run(work())
    handler.acquire()  # as logging.shutdown does
    handler.flush()
    handler.release()
    assert written(file) == [*map(str, range(1000))]


def test_a_stream_that_was_closed_ends_nothing(tmp_path: Path) -> None:
    file = (tmp_path / "log").open("a+")
    handler = LineHandler(file)
    log = logged_to(handler)

    async def work() -> None:
        log("early")
        assert wait_for(file, 1) == ["early"]
        file.close()
        log("late")

    asyncio.run(work())
    handler.flush()
    assert handler._thread is not None
    assert handler._thread.is_alive()


def test_a_reader_that_stands_still_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST", 20_000)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as pipe:
        handler = LineHandler(stream)
        log = logged_to(handler)

        async def work() -> None:
            for number in range(20):
                log(f"{number} ".ljust(1_000, "x"), logging.WARNING)
                await asyncio.sleep(0.005)
            for number in range(20, 60):
                log(f"{number} ".ljust(1_000, "x"))

        began = time.monotonic()
        asyncio.run(work())
        assert time.monotonic() - began < 5
        lines: list[str] = []
        while not lines or "missing here" not in lines[-1]:
            lines.append(pipe.readline().rstrip("\n"))
    *whole, told = lines
    assert all(len(line) == 1_000 for line in whole)
    assert [int(line.split()[0]) for line in whole] == list(range(len(whole)))
    assert f"{60 - len(whole)} lines are missing" in told


def test_a_full_disk_loses_nothing_that_fits_the_memory(
    file: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY", 0.01)
    with open("/dev/full", "w") as full:
        handler = LineHandler(full)
        log = logged_to(handler)

        async def work() -> None:
            log("one", logging.WARNING)
            await asyncio.sleep(0.05)
            log("two")

        asyncio.run(work())
        handler.setStream(file)
        assert wait_for(file, 2) == ["one", "two"]


def test_a_line_that_was_cut_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as pipe:
        text = f"{'a' * 100}\n{'b' * 5_000}\n"
        with pytest.raises(OSError, match="can't be written") as caught:
            writer._write(stream, text)
        assert pipe.read1() + caught.value.rest.encode() == (
            f"{'a' * 100}\n{'b' * (SMALL_PIPE - 101)}\n{'b' * 5_000}\n".encode()
        )


@pytest.mark.slow
def test_processes_never_mix_their_lines() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as pipe:
        handler = LineHandler(stream)
        log = logged_to(handler)

        async def work(letter: str) -> None:
            for _number in range(100):
                log(letter * LONG)
                await asyncio.sleep(0)

        children = []
        for letter in "abc":
            if not (child := os.fork()):
                asyncio.run(work(letter))
                handler.flush()
                os._exit(0)
            children.append(child)
        lines = [pipe.readline().rstrip("\n") for _number in range(300)]
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    assert {line[0] * LONG for line in lines} == set(lines)
    assert len(set(lines)) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_a_child_does_not_repeat_its_parents_lines(file: TextIO) -> None:
    handler = LineHandler(file)
    log = logged_to(handler)

    async def work() -> None:
        log("of the parent")

    asyncio.run(work())
    if not (child := os.fork()):
        handler.flush()
        log("of the child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    handler.flush()
    assert sorted(written(file)) == ["of the child", "of the parent"]


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_a_worker_that_is_ended_by_a_signal_writes_first(file: TextIO) -> None:
    end = runpy.run_path(str(ROOT / "config/gunicorn.conf.py"))["_end"]
    log = logged_to(LineHandler(file))

    async def work() -> None:
        log("the last call")

    if not (child := os.fork()):
        signal.signal(signal.SIGTERM, end)
        asyncio.run(work())
        signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert written(file) == ["the last call"]
