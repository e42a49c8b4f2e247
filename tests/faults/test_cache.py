"""Valkey, or Redis, is away, slow or flushed: pages are made as if nothing were cached.

Nothing else uses it: keys, routes, limits and the ledger are the database's.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from core.web import cache as shared
from tests.core.pages import signed_in
from tests.factories import Workspace
from tests.server import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def use(settings: Any) -> Any:
    """Let the cache be at a port of this machine."""

    def use(port: int) -> None:
        settings.CACHES = {
            "default": {
                "BACKEND": "core.web.cache.SharedCache",
                "LOCATION": f"redis://127.0.0.1:{port}/0",
            }
        }

    return use


@pytest.fixture
def silent() -> Iterator[int]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def overview(workspace: Workspace) -> None:
    page = signed_in(workspace.owner).get(f"/t/{workspace.slug}/")
    assert page.status_code == 200
    assert workspace.tenant.name in page.content.decode()


@pytest.mark.parametrize("fault", ["away", "slow"])
def test_it_does_not_answer(
    use: Any, silent: int, fault: str, acme: Workspace, caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(shared, "ANSWER_SECONDS", 0.1)
    use(silent if fault == "slow" else free_port())
    for _page in range(2):
        overview(acme)
    told = [line for line in caplog.records if "CACHE_URL" in line.getMessage()]
    assert len(told) == 1, "the second page waits for nothing"
    cache.set("key", 1)
    assert cache.get("key", "none") == "none"


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("valkey-server") or shutil.which("redis-server")), reason="no Valkey here"
)
def test_it_is_flushed_and_ends(use: Any, acme: Workspace, globex: Workspace) -> None:
    port = free_port()
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    server = subprocess.Popen(
        [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 10
        while not answers(port):
            assert time.monotonic() < until
            time.sleep(0.02)
        use(port)
        overview(acme)
        cache.set("key", 1)
        assert cache.get("key") == 1
        cache.clear()
        assert cache.get("key", "none") == "none"
        for workspace in (acme, globex):
            overview(workspace)
    finally:
        server.terminate()
        server.wait(10)
    overview(acme)
    assert cache.get("key", "none") == "none"
