"""Slow providers and slow readers hold no database connection: pages and probes stay quick."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, WAV, Hub
from tests.gateway.playground.test_app import PAGE, Person
from tests.postgres import Postgres
from tests.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

POOL = 2  # connections
AT_ONCE = 6  # of each kind; the pool is used up by three
SLOW = 6  # seconds that a provider takes
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


EXPORTS = (
    "/t/main/usage/export.csv",
    "/t/main/usage/calls/export.csv",
    "/t/main/settings/audit/export.csv",
)
LISTS = (
    "/admin/quotas/callrecord/",
    "/admin/tenants/auditentry/",
    "/admin/tenants/tenant/",
)


@contextmanager
def slow_readers(
    url: str, path: str, cookies: str, form: str = ""
) -> Iterator[list[socket.socket]]:
    """Clients that ask for a file and take little of it.

    Args:
        form: What they post; by default they get the file.
    """
    address = urlsplit(url)
    readers = []
    head = f"{'POST' if form else 'GET'} {path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += f"Cookie: {cookies}\r\nOrigin: {url}\r\nContent-Length: {len(form)}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    for _number in range(AT_ONCE):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((address.hostname, address.port))
        reader.sendall((head + form).encode())
        readers.append(reader)
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


@contextmanager
def slow_providers(hub: Hub, person: Person) -> Iterator[None]:
    """People who wait for forms whose provider is slow."""
    hub.fake.mode = f"slow:{SLOW}"
    threads = [
        threading.Thread(target=person.form, args=(path, files), kwargs=fields)
        for path, fields, files in FORMS.values()
        for _number in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(hub.fake.calls) < len(threads) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(hub.fake.calls) == len(threads), "the forms did not reach the provider at once"
    yield
    for thread in threads:
        thread.join()


@pytest.fixture
def operator(small: Hub, owner: Person) -> Person:
    small.execute("UPDATE tenants_user SET is_staff = true, is_superuser = true")
    return owner


def test_slow_providers_and_slow_readers(small: Hub, operator: Person) -> None:
    """Of every kind that there is, at once."""
    url, cookies = small.server.url, operator.session.cookies.items()
    header = "; ".join(f"{name}={value}" for name, value in cookies)
    with ExitStack() as everybody:
        readers = []
        for path in EXPORTS:
            readers += everybody.enter_context(slow_readers(url, path, header))
        for path in LISTS:
            form = exporting(operator, path)
            readers += everybody.enter_context(slow_readers(url, path, header, form))
        for reader in readers:
            reader.settimeout(30)
            assert reader.recv(12) == b"HTTP/1.1 200"
        everybody.enter_context(slow_providers(small, operator))
        everything_is_quick(small, operator)


def exporting(operator: Person, path: str) -> str:
    """What the form of an operators' list sends to export all of its rows."""
    page = operator.session.get(operator.url + path, timeout=30).text
    row = re.search(r'name="_selected_action" value="([^"]+)"', page)
    assert row is not None, page[:500]
    return urlencode(
        {
            "csrfmiddlewaretoken": operator.token,
            "action": "export",
            "select_across": "1",
            "index": "0",
            "_selected_action": row[1],
        }
    )


def test_an_export_is_complete(small: Hub, owner: Person) -> None:
    for path in EXPORTS[1:]:
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
