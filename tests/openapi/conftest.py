"""A server with Demo, and the two documents as it serves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.openapi.tools import Documents
from tests.server import Server

_PATHS = {"v1": "/v1/openapi.json", "api": "/api/schema/"}


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with Server(env={"MODELKEEP_DEMO_PROVIDER": "1"}) as running:
        answer = requests.post(
            f"{running.url}/api/v1/providers/demo/credentials",
            json={"name": "Demo", "values": {}},
            headers={"Authorization": f"Bearer {running.app_key}"},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        yield running


@pytest.fixture(scope="package")
def documents(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Documents:
    folder: Path = tmp_path_factory.mktemp("documents")
    files = {}
    for name, path in _PATHS.items():
        files[name] = folder / f"{name}.json"
        files[name].write_bytes(requests.get(server.url + path, timeout=60).content)
    return files
