"""A second server on the same DATA_DIR is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import instance
from tests.source import ROOT

OTHER = (
    "import sys; from pathlib import Path; from config import instance; "
    "instance.claim(Path(sys.argv[1]), alone=True); print('serving', flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def nothing_claimed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(instance, "WAIT_SECONDS", 0)
    yield
    instance.leave_to_parent()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another server that holds the folder until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        yield process


def test_a_server_alone_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    instance.claim(tmp_path, alone=True)
    assert (tmp_path / ".server").read_text() == f"{os.getpid()}\n"
    assert not caplog.records


@pytest.mark.slow
def test_with_sqlite_the_second_does_not_start(
    tmp_path: Path, other: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit, match=f"in use by another server .process {other.pid}"):
        instance.claim(tmp_path, alone=True)
    instance.claim(tmp_path, alone=False)
    assert "in use by another server" in caplog.text
    other.kill()
    other.wait()
    instance.claim(tmp_path, alone=True)


def test_the_lock_ends_with_the_server_and_not_with_a_worker(tmp_path: Path) -> None:
    instance.claim(tmp_path, alone=True)
    instance.leave_to_parent()
    instance.claim(tmp_path, alone=True)
