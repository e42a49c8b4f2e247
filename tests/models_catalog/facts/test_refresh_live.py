"""Running servers notice newer model facts without a restart."""

from __future__ import annotations

import json
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests

from tests.server import Server

PATIENCE = 12.0  # seconds: the promise is ten


def context_window(server: Server) -> int | None:
    headers = {"Authorization": f"Bearer {server.app_key}"}
    answer = requests.get(
        f"{server.url}/api/v1/models/demo/demo-chat/", headers=headers, timeout=10
    )
    assert answer.status_code == 200, answer.text
    found: int | None = answer.json()["context_window"]
    return found


def wait_for(server: Server, wanted: int | None) -> float:
    start = time.monotonic()
    while context_window(server) != wanted:
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.2)
    return time.monotonic() - start


@pytest.mark.slow
@pytest.mark.one_database  # the server is on SQLite
def test_a_running_server_takes_over_a_snapshot_and_gives_it_back(tmp_path: Path) -> None:
    file = tmp_path / "catalog.json"
    with Server() as server:
        before = context_window(server)
        server.manage("refresh_catalog", str(file), "--export")
        document = json.loads(file.read_bytes())
        document["date"] = (date.fromisoformat(document["date"]) + timedelta(days=1)).isoformat()
        chat = next(
            row for row in document["providers"]["demo"]["model"] if row["name"] == "demo-chat"
        )
        chat["context_window"] = 123_456
        file.write_text(json.dumps(document), encoding="utf-8")
        server.manage("refresh_catalog", str(file))
        wait_for(server, 123_456)
        server.stop()
        server.start()
        assert context_window(server) == 123_456, "it is read before the first request"
        server.manage("refresh_catalog", "--previous")
        wait_for(server, before)
