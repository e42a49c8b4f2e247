"""A rehearsal tells what an upgrade does, on a copy that the backup of the older tables makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres
from tests.server import SETTINGS
from tests.source import ROOT
from tests.upgrade.test_upgrade import Installation, counts

pytestmark = [pytest.mark.slow, pytest.mark.one_database]


def test_release_0_1_is_rehearsed_on_postgresql(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    before = counts(installation.database)
    with Postgres(durable=False) as server:
        told = installation.run("manage.py", "upgrade", "--rehearse", "--into", server.url)
        with psycopg.connect(server.url) as copy:
            [found] = copy.execute("SELECT count(*) FROM quotas_callrecord").fetchone() or (0,)
    assert found >= before["quotas_callrecord"] > 0  # those of expired holds are added
    assert "Credits and stored keys are in order" in told
    assert "AccessExclusiveLock on quotas_callrecord for 0." in told  # its new column
    assert "ShareLock on quotas_callrecord" not in told, "its index is built without a lock"
    assert counts(installation.database) == before, "only the copy changed"
    assert not list(tmp_path.glob("rehearsal-*"))


def test_a_rehearsal_that_fails_says_so(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    (tmp_path / "master_keys").write_text("m1:" + "QUJD" * 10 + "QUI=")
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "manage.py", "upgrade", "--rehearse"],
        cwd=ROOT,
        env=environment | installation.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the database is as it was" in done.stderr
