"""A worker dies, runs out of descriptors or of disk, or is kept busy by connections that send
nothing; SQLite's file is locked or copied. Nobody else's call fails, and what was served is
recorded, once.

Elsewhere: SIGTERM in mid-stream (tests/gateway/dataplane/test_shutdown.py), clocks that step
(tests/quotas/usage/), death at each step of a trial (test_kills.py).
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.dataplane.store.spool import FILE, MOVED
from tests import canary
from tests.faults.hub import seeded_hub
from tests.gateway.conftest import KEY, Hub, children
from tests.gateway.dataplane.test_shutdown import Caller

pytestmark = pytest.mark.slow  # a server runs
OWN, TRIAL = "openai_compatible/gpt-4o-mini", "openai/gpt-3.5-turbo"
WITHIN = 20  # seconds
IDLE = int(os.environ.get("IDLE_CONNECTIONS", "500"))  # `make test-faults`: 10,000
EACH = 12  # KiB of memory for an idle connection, at most


@pytest.fixture(scope="module")
def shared() -> Iterator[Hub]:
    limits = {
        "MODELKEEP_CALL_DEADLINE": "20",
        "MODELKEEP_REAPER_PERIOD": "1",
        "MODELKEEP_HEAD_TIMEOUT": "2",
        "MODELKEEP_BODY_TIMEOUT": "2",
    }
    yield from seeded_hub(**limits)


@pytest.fixture
def hub(shared: Hub) -> Iterator[Hub]:
    shared.close()
    shared.fake.reset()
    shared.fake.delay = 0.0
    works(shared)
    shared.fake.reset()
    yield shared
    shared.audit()
    log = shared.server.log.read_text(errors="replace")
    assert not canary.find(log, (KEY, shared.server.app_key))


class CutCaller(Caller):
    """A call whose answer breaks off."""

    def run(self) -> None:
        with suppress(requests.RequestException):
            super().run()


def works(hub: Hub) -> None:
    for model in (OWN, TRIAL):
        answer = hub.chat(model)
        assert answer.status_code == 200, (model, answer.text)
        assert [record["status"] for record in hub.records(answer.headers["x-request-id"])] == [
            "ok"
        ]


def wait_until(condition: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def worker(hub: Hub) -> int:
    [pid] = children(hub.server.pid)
    return pid


@contextmanager
def limited(hub: Hub, kind: int, most: int) -> Iterator[None]:
    """Limit a resource of the worker, as if the machine had no more of it."""
    pid = worker(hub)
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


def spooled(hub: Hub) -> bytes:
    files = [hub.server.data / FILE, *hub.server.data.glob(MOVED.format("*"))]
    return b"".join(path.read_bytes() for path in files if path.exists())


def test_a_killed_worker_is_replaced_and_its_trial_is_settled_once(hub: Hub) -> None:
    """As the kernel kills the largest process when memory is used up."""
    limit, settled, held = hub.pool()
    hub.fake.stops = frozenset({5})
    caller = CutCaller(hub, TRIAL, stream=True)
    assert caller.begun.wait(WITHIN)
    dead = worker(hub)
    os.kill(dead, signal.SIGKILL)
    caller.join(WITHIN)
    assert not any("[DONE]" in line for line in caller.lines)
    assert hub.pool() == (limit, settled, held + 1)
    hub.fake.release()
    wait_until(lambda: not hub.fake.open_streams, "the provider still sends")
    hub.fake.reset()
    wait_until(lambda: children(hub.server.pid) not in ([], [dead]), "no new worker")
    hub.close()
    works(hub)
    hub.server.python("-m", "tests.faults.later")
    hub.server.python("-m", "tests.faults.later")
    assert hub.pool() == (limit, settled + 2, held)
    [record] = hub.records(caller.request_id)
    assert (record["status"], record["error_code"], record["credits"]) == ("error", "unknown", 1)


def test_without_descriptors_calls_under_way_are_recorded(hub: Hub) -> None:
    hub.fake.mode = "hold"
    callers = [Caller(hub, model, stream=False) for model in (OWN, TRIAL)]
    wait_until(lambda: hub.fake.count == 2, "the provider was not called")
    used = len(os.listdir(f"/proc/{worker(hub)}/fd"))
    with limited(hub, resource.RLIMIT_NOFILE, used):
        for _caller in callers:
            hub.fake.release()
        for caller in callers:
            caller.join(WITHIN)
            assert caller.response is not None
            assert caller.response.status_code == 200
    hub.fake.mode = "ok"
    hub.close()
    works(hub)
    wait_until(lambda: not spooled(hub), "the spool was not replayed")
    for caller in callers:
        assert [record["status"] for record in hub.records(caller.request_id)] == ["ok"]


def path_of(hub: Hub) -> Path:
    url = hub.server.env["DATABASE_URL"]
    if not url.startswith("sqlite"):
        pytest.skip("on PostgreSQL")
    return Path(url.removeprefix("sqlite:///"))


def test_a_full_disk_keeps_what_was_served(hub: Hub) -> None:
    """The reserve of the spool takes what SQLite's file does not."""
    database = path_of(hub)
    hub.fake.mode = "hold"
    callers = [Caller(hub, model, stream=False) for model in (OWN, TRIAL)]
    wait_until(lambda: hub.fake.count == 2, "the provider was not called")
    written = database.with_name(f"{database.name}-wal").stat().st_size
    with limited(hub, resource.RLIMIT_FSIZE, written):
        for _caller in callers:
            hub.fake.release()
        for caller in callers:
            caller.join(WITHIN)
            assert caller.response is not None
            assert caller.response.status_code == 200
        lines = spooled(hub)
        assert all(caller.request_id.encode() in lines for caller in callers)
        refused = hub.chat(TRIAL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "database_unavailable",
        )
        assert hub.fake.count == 2
        ready = requests.get(f"{hub.server.url}/readyz", timeout=10).json()
        assert ready["status"] != "ok"
    hub.fake.mode = "ok"
    wait_until(lambda: not spooled(hub), "the spool was not replayed")
    works(hub)
    for caller in callers:
        assert [record["status"] for record in hub.records(caller.request_id)] == ["ok"]


def test_a_locked_file_delays_the_end_of_a_call_and_nothing_else(hub: Hub) -> None:
    other = sqlite3.connect(path_of(hub), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(1.0, other.execute, ["ROLLBACK"])
    try:
        unlock.start()
        answer = hub.chat(OWN)
    finally:
        unlock.join()
        other.close()
    assert answer.status_code == 200
    assert hub.record(answer)["status"] == "ok"
    assert hub.chat(OWN).status_code == 200


def test_a_copy_of_the_file_alone_is_consistent_and_old(hub: Hub, tmp_path: Path) -> None:
    """What was written since the last checkpoint is missing: `manage.py backup` has it all."""
    path, copies = path_of(hub), []
    calls = [hub.chat(OWN)]
    for number in range(5):
        copies.append(shutil.copy(path, tmp_path / f"{number}.sqlite3"))
        calls.append(hub.chat(OWN))
    assert {answer.status_code for answer in calls} == {200}
    for copy in copies:
        opened = sqlite3.connect(copy)
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        opened.close()
    for answer in calls:
        assert hub.record(answer)["status"] == "ok"


def connect(hub: Hub, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", hub.server.port), timeout=WITHIN)
    client.sendall(data)
    return client


def resident(hub: Hub) -> int:
    """KiB of the worker."""
    return int(Path(f"/proc/{worker(hub)}/statm").read_text().split()[1]) * 4


def test_idle_connections_cost_little_and_hold_nobody_up(hub: Hub) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 500:
        pytest.skip("too few descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.prlimit(worker(hub), resource.RLIMIT_NOFILE, (hard, hard))
    before = resident(hub)
    greeting = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{hub.server.port}\r\n\r\n".encode()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(hub, greeting)) for _number in range(IDLE)]
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        works(hub)
        assert resident(hub) - before < IDLE * EACH + 4096
    works(hub)


def test_slow_heads_and_bodies_are_cut_off(hub: Hub) -> None:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {hub.server.app_key}\r\nContent-Type: application/json\r\n"
    ).encode()
    count = "SELECT count(*) FROM quotas_callrecord"
    [(before,)] = hub.rows(count)
    with ExitStack() as stack:
        begun = [head] * 20 + [head + b'Content-Length: 5000\r\n\r\n{"model": '] * 20
        clients = [stack.enter_context(connect(hub, data)) for data in begun]
        works(hub)
        for client in clients:
            answer = client.recv(4096)
            assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert hub.rows(count) == [(before + 2,)]
    works(hub)
