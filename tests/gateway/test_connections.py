"""Slow providers and slow readers hold no database connection: pages and probes stay quick."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, WAV, Hub
from tests.gateway.playground.test_app import PAGE, Person
from tests.postgres import Postgres
from tests.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

POOL = 2  # connections
AT_ONCE = 6
WITHIN = 5  # seconds; a pool that is used up answers after 10
ROWS = 20_000  # of each table that is exported; more than the sockets' buffers take


@pytest.fixture(scope="module")
def small() -> Iterator[Hub]:
    """A server with a pool of two connections, whose tables fill a slow reader's buffers."""
    with Postgres() as database, Running(FakeProvider()) as fake:
        environment = {"MODELKEEP_EGRESS_ALLOW": fake.url, "DATABASE_POOL": str(POOL)}
        with Server(env=environment, postgres=database.url) as server:
            hub = Hub(server, fake)
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    }
                ],
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": name,
                        "type": kind,
                        "base_url": f"{fake.url}/v1",
                    }
                    for name, kind in (("ranker", "rerank"), ("vectors", "embedding"))
                ],
            )
            assert hub.chat().status_code == 200
            _multiply(hub)
            yield hub
            hub.close()


def _multiply(hub: Hub) -> None:
    """Repeat the newest call and audit entry until an export has megabytes."""
    for table in ("quotas_callrecord", "tenants_auditentry"):
        columns = [
            name
            for (name,) in hub.rows(
                "SELECT column_name FROM information_schema.columns "
                f"WHERE table_name = '{table}' AND is_identity = 'NO' ORDER BY 1"
            )
        ]
        values = ["gen_random_uuid()" if name == "id" else name for name in columns]
        hub.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
            f"FROM (SELECT * FROM {table} ORDER BY time DESC LIMIT 1) AS row, "
            f"generate_series(1, {ROWS})"
        )


@pytest.fixture
def owner(small: Hub) -> Iterator[Person]:
    small.fake.reset()
    person = Person(small, small.server.owner, small.server.password)
    yield person
    person.session.close()


def everything_is_quick(hub: Hub, person: Person) -> None:
    for address in ("/readyz", "/t/main/", "/t/main/usage/"):
        began = time.monotonic()
        answer = person.session.get(hub.server.url + address, timeout=30)
        assert (answer.status_code, time.monotonic() - began < WITHIN) == (200, True), address


FORMS: dict[str, tuple[str, dict[str, str], Any]] = {
    "chat": (PAGE, {"model": CHAT, "message": "Hello", "action": "send"}, None),
    "embeddings": (
        f"{PAGE}embeddings/",
        {"model": "openai_compatible/vectors", "texts": "a\nb"},
        None,
    ),
    "rerank": (
        f"{PAGE}rerank/",
        {"model": "openai_compatible/ranker", "query": "a", "documents": "a\nb"},
        None,
    ),
    "speak": (
        f"{PAGE}speech/",
        {"model": "openai/gpt-4o-mini-tts", "input": "Hello", "action": "speak"},
        None,
    ),
    "hear": (
        f"{PAGE}speech/",
        {"model": "openai/whisper-1", "action": "hear"},
        {"file": ("a.wav", WAV, "audio/wav")},
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_whose_provider_is_slow(small: Hub, owner: Person, name: str) -> None:
    path, fields, files = FORMS[name]
    small.fake.mode = "slow:4"
    threads = [
        threading.Thread(target=owner.form, args=(path, files), kwargs=fields)
        for _number in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(small.fake.calls) < AT_ONCE and time.monotonic() < until:
        time.sleep(0.05)
    assert len(small.fake.calls) == AT_ONCE, "the forms did not reach the provider at once"
    everything_is_quick(small, owner)
    for thread in threads:
        thread.join()


EXPORTS = (
    "/t/main/usage/calls/export.csv",
    "/t/main/settings/audit/export.csv",
)


@contextmanager
def slow_readers(url: str, path: str, cookies: str) -> Iterator[list[socket.socket]]:
    """Clients that ask for a file and take little of it."""
    address = urlsplit(url)
    readers = []
    for _number in range(AT_ONCE):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {address.hostname}\r\nCookie: {cookies}\r\n\r\n".encode()
        )
        readers.append(reader)
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


@pytest.mark.parametrize("path", EXPORTS)
def test_exports_whose_reader_is_slow(small: Hub, owner: Person, path: str) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in owner.session.cookies.items())
    with slow_readers(small.server.url, path, cookies) as readers:
        for reader in readers:
            reader.settimeout(30)
            assert reader.recv(12) == b"HTTP/1.1 200"
        time.sleep(0.5)
        everything_is_quick(small, owner)


def test_an_export_is_complete(small: Hub, owner: Person) -> None:
    for path in EXPORTS:
        answer = owner.session.get(small.server.url + path, timeout=30)
        assert answer.text.count("\n") > ROWS


def test_rest_whose_reader_is_slow(small: Hub) -> None:
    """Whole answers too: their connection returns when they are made."""
    path = "/api/v1/usage/calls/?limit=1000&format=csv"
    with slow_readers(
        small.server.url, path, f"a=b\r\nAuthorization: Bearer {small.server.app_key}"
    ):
        time.sleep(0.5)
        answer = requests.get(f"{small.server.url}/readyz", timeout=30)
    assert answer.status_code == 200
