"""The test database as worker processes reach it, and how they are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from quotas.models import CreditPool
from tests.factories import make_tenant
from tests.quotas.conftest import make_pool

Start = Callable[..., "subprocess.Popen[bytes]"]


def database_url() -> str:
    """DATABASE_URL of the database that the tests run in."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    host = quote(settings["HOST"], safe="")
    account = quote(settings["USER"]) + (
        f":{quote(settings['PASSWORD'])}" if settings["PASSWORD"] else ""
    )
    return f"postgresql://{account}@{host}:{settings['PORT'] or 5432}/{settings['NAME']}"


@pytest.fixture
def pool_of(transactional_db: None) -> Callable[[int], CreditPool]:
    """Makes a pool of so many credits, committed."""
    return lambda limit: make_pool(make_tenant("acme", with_keys=False), limit=limit)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@pytest.fixture
def start(transactional_db: None, log: Path) -> Start:
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
    }

    def run(pool: CreditPool, mode: str, **arguments: Any) -> subprocess.Popen[bytes]:
        given = {
            "mode": mode,
            "pool": pool.pk,
            "tenant": str(pool.tenant_id),
            "log": str(log),
        } | arguments
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.worker", json.dumps(given)],
            env=environment,
        )

    return run


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]
