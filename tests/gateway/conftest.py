"""A whole server with a fake provider behind it: on SQLite, or on PostgreSQL where DATABASE_URL
says so.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.openapi import comparing
from tests.server import Server

KEY = "sk-canary7f3a-gateway-0123456789abcdef"
CHAT = "openai/gpt-4o-mini"
WAV = (
    b"RIFF\x24\x00\x00\x00WAVEfmt "
    b"\x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
)


class Hub:
    """A running server, its fake provider, and the ways to ask both."""

    def __init__(self, server: Server, fake: FakeProvider) -> None:
        self.server = server
        self.fake = fake
        self.session = requests.Session()
        self.session.trust_env = False
        self._compares = False
        self._clients: list[openai.OpenAI] = []

    @contextmanager
    def compared(self) -> Iterator[None]:
        """Compare all answers with the OpenAPI document."""
        hooks = self.session.hooks["response"]
        hooks.append(comparing.of_requests)
        self._compares = True
        yield
        self._compares = False
        hooks.remove(comparing.of_requests)

    @property
    def base(self) -> str:
        return f"{self.server.url}/v1"

    def seed(self, **wanted: Any) -> None:
        self.server.python("-m", "tests.gateway.seed", self.server.workspace, json.dumps(wanted))

    def app_key(self, name: str = "", **limits: Any) -> str:
        """A new key, made by the command."""
        name = name or secrets.token_hex(4)
        scopes = limits.get("scopes", "use,read,manage")
        return str(
            json.loads(
                self.server.manage(
                    "app_key", self.server.workspace, "--name", name, "--scopes", scopes, "--json"
                )
            )["app_key"]
        )

    def post(
        self,
        path: str = "/chat/completions",
        body: Any = None,
        *,
        key: str | None = None,
        **options: Any,
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.server.app_key}"} | options.pop(
            "headers", {}
        )
        if body is not None:
            options["json"] = body
        return self.session.post(self.base + path, headers=headers, timeout=30, **options)

    def chat(self, model: str | None = CHAT, **more: Any) -> requests.Response:
        headers = more.pop("headers", {})
        options = {name: more.pop(name) for name in ("key", "stream_body") if name in more}
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]} | more
        return self.post(
            body=body, headers=headers, stream=options.pop("stream_body", False), **options
        )

    def close(self) -> None:
        """Close the connections of all clients."""
        self.session.close()
        while self._clients:
            self._clients.pop().close()

    def sdk(self, key: str = "") -> openai.OpenAI:
        hooks = [comparing.of_sdk] if self._compares else []
        self._clients.append(
            openai.OpenAI(
                base_url=self.base,
                api_key=key or self.server.app_key,
                max_retries=0,
                timeout=30,
                http_client=openai.DefaultHttpxClient(event_hooks={"response": hooks}),
            )
        )
        return self._clients[-1]

    def async_sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=self.base, api_key=self.server.app_key, max_retries=0, timeout=30
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement returns, on a connection of its own."""
        url = self.server.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            with sqlite3.connect(
                f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=20
            ) as connection:
                found = connection.execute(sql).fetchall()
            connection.close()
            return found
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Change rows behind the product's back."""
        url = self.server.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20) as connection:
                connection.execute(sql)
            connection.close()
            return
        with psycopg.connect(url, autocommit=True) as postgres:
            postgres.execute(sql)

    def records(self, request_id: str) -> list[dict[str, Any]]:
        """The call records of one request, oldest first."""
        names = (
            "provider, model, source, status, http_status, error_code, credits, usage_source, "
            "prompt_tokens, completion_tokens, images, cost, attempts, attempt_log, "
            "error_message, error_param"
        )
        found = self.rows(
            f"SELECT {names} FROM quotas_callrecord WHERE request_id = '{request_id}' ORDER BY id"
        )
        records = [dict(zip(names.split(", "), row, strict=True)) for row in found]
        for record in records:
            if isinstance(log := record["attempt_log"], str):  # SQLite returns JSON as text
                record["attempt_log"] = json.loads(log)
        return records

    def record(self, response: requests.Response) -> dict[str, Any]:
        return self.wait_for_record(response.headers["x-request-id"])

    def wait_for_record(self, request_id: str, seconds: float = 10) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while not (found := self.records(request_id)):
            assert time.monotonic() < until, "no record was written"
            time.sleep(0.05)
        return found[-1]

    def pool(self) -> tuple[int, int, int]:
        """(limit, settled, held) of the first trial."""
        return self.rows(
            'SELECT "limit", settled, held FROM quotas_creditpool ORDER BY id LIMIT 1'
        )[0]  # type: ignore[return-value]

    def audit(self) -> None:
        """Proves the ledger's invariants; the command fails where one does not hold."""
        self.server.manage("audit_credits")


def running_hub(
    fake: FakeProvider,
    *,
    workers: int = 1,
    application: str = "config.asgi:application",
    **env: str,
) -> Iterator[Hub]:
    env = {"MODELKEEP_EGRESS_ALLOW": fake.url} | env
    postgres = url if (url := os.environ.get("DATABASE_URL", "")).startswith("postgres") else ""
    with Server(env=env, postgres=postgres, workers=workers, application=application) as server:
        hub = Hub(server, fake)
        try:
            yield hub
        finally:
            hub.close()


@pytest.fixture(scope="session")
def shared_hub() -> Iterator[Hub]:
    """One server for all tests that leave it as it was."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake, MODELKEEP_IDLE_TIMEOUT="2", MODELKEEP_CALL_DEADLINE="20"):
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    },
                    {
                        "provider": "anthropic",
                        "name": "Claude",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    },
                    {"provider": "demo", "name": "Demo", "values": {}},
                ],
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": "whisper-large",
                        "type": "speech-to-text",
                        "base_url": f"{fake.url}/v1",
                    },
                ]
                + [
                    {"provider": "openai", "model": f"gpt@{mode}", "type": "reasoning"}
                    for mode in (
                        "status:401",
                        "status:403",
                        "status:429:2",
                        "status:500",
                        "status:503",
                        "close",
                        "break:4",
                        "break:0",
                        "html",
                    )
                ],
            )
            yield hub


@pytest.fixture
def hub(shared_hub: Hub) -> Iterator[Hub]:
    shared_hub.fake.reset()
    yield shared_hub
    shared_hub.close()
    log = shared_hub.server.log.read_text(errors="replace")
    assert KEY not in log, "a provider's key is in the log"
    assert "Traceback" not in log, log[-3000:]


def children(pid: int) -> list[int]:
    """The worker processes of gunicorn."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
