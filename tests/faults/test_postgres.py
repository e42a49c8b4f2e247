"""PostgreSQL goes away while calls are under way, or refuses them, and comes back: nothing is lost,
nothing is charged twice, nobody waits for ever.

SQLite's rows are in test_workers.py; copies and backups of a running
installation in tests/upgrade/test_backup.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import psycopg
import pytest
import requests

from gateway.dataplane.store.spool import FILE, MOVED, REJECTED
from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub
from tests.postgres import Postgres
from tests.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
MODEL = "openai/gpt-3.5-turbo"
WITHIN = 20  # seconds


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def shared(database: Postgres) -> Iterator[Hub]:
    """A trial, and a server that looks at its spool every second."""
    with Running(FakeProvider()) as fake:
        environment = {
            "MODELKEEP_EGRESS_ALLOW": fake.url,
            "MODELKEEP_REAPER_PERIOD": "1",
            "MODELKEEP_CALL_DEADLINE": "5",
        }
        with Server(env=environment, postgres=database.url) as server:
            hub = Hub(server, fake)
            values = {"api_key": KEY, "base_url": fake.url}
            hub.seed(
                plan={
                    "plan": "openai",
                    "limit": 100,
                    "models": {"gpt-3.5-turbo": 1},
                    "values": values,
                }
            )
            yield hub
            hub.close()


@pytest.fixture
def trial(shared: Hub, database: Postgres) -> Iterator[Hub]:
    shared.fake.reset()
    shared.fake.delay = 0.0
    assert shared.chat(MODEL).status_code == 200
    shared.fake.reset()
    yield shared
    shared.audit()
    log = shared.server.log.read_text(errors="replace")
    assert KEY not in log
    assert "Traceback" not in log, log[-5000:]


def spooled(hub: Hub) -> list[bytes]:
    """The lines that wait to be written, those under way included."""
    folder = hub.server.data
    files = [folder / FILE, *folder.glob(MOVED.format("*"))]
    return [line for path in files if path.exists() for line in path.read_bytes().splitlines()]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


class Caller(threading.Thread):
    """One call beside the test."""

    def __init__(self, hub: Hub, **options: object) -> None:
        super().__init__()
        self._hub, self._options = hub, options
        self.response: requests.Response | None = None
        self.start()

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            self.response = session.post(
                f"{self._hub.base}/chat/completions",
                json={
                    "model": MODEL,
                    "messages": [{"role": "user", "content": "Hello"}],
                    **self._options,
                },
                headers={"Authorization": f"Bearer {self._hub.server.app_key}"},
                timeout=60,
            )

    def answer(self) -> requests.Response:
        self.join(WITHIN)
        assert self.response is not None, "the client still waits"
        return self.response


def test_a_crash_under_a_stream_loses_nothing(trial: Hub, database: Postgres) -> None:
    limit, settled, held = trial.pool()
    trial.fake.delay = 0.05
    caller = Caller(trial, stream=True)
    wait_until(lambda: trial.fake.count == 1, "the provider was not called")
    database.crash()
    response = caller.answer()
    assert response.status_code == 200
    assert response.text.endswith("data: [DONE]\n\n")
    database.wait()
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    [record] = trial.records(response.headers["x-request-id"])
    assert (record["status"], record["credits"]) == ("ok", 1)
    assert trial.pool() == (limit, settled + 1, held)
    wait_until(lambda: trial.chat(MODEL).status_code == 200, "calls are not served again")


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_under_way_is_answered_and_its_end_is_written_later(
    trial: Hub, database: Postgres, stream: bool
) -> None:
    limit, settled, held = trial.pool()
    if stream:
        trial.fake.delay = 0.1
    else:
        trial.fake.mode = "slow:2"
    caller = Caller(trial, stream=stream)
    wait_until(lambda: trial.fake.count == 1, "the provider was not called")
    database.stop()
    try:
        response = caller.answer()
        assert response.status_code == 200
        assert (
            response.text.endswith("data: [DONE]\n\n")
            if stream
            else response.json()["choices"][0]["message"]["content"]
        )
        [line] = spooled(trial)
        assert response.headers["x-request-id"].encode() in line
    finally:
        database.start()
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    [record] = trial.records(response.headers["x-request-id"])
    assert (record["status"], record["credits"], record["source"]) == ("ok", 1, "trial:openai")
    assert trial.pool() == (limit, settled + 1, held)


def test_a_failure_under_way_gives_the_credit_back_later(trial: Hub, database: Postgres) -> None:
    before = trial.pool()
    trial.fake.mode = "hang"
    caller = Caller(trial)
    wait_until(lambda: trial.fake.count == 1, "the provider was not called")
    database.stop()
    try:
        response = caller.answer()
        assert (response.status_code, response.json()["error"]["code"]) == (504, "provider_timeout")
        assert len(spooled(trial)) == 1
    finally:
        database.start()
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    [record] = trial.records(response.headers["x-request-id"])
    assert (record["status"], record["credits"]) == ("error", 0)
    assert trial.pool() == before


def test_while_it_is_away_calls_are_refused_and_served_again_afterwards(
    trial: Hub, database: Postgres
) -> None:
    before = trial.pool()
    database.stop()
    try:
        for path, body in (
            (
                "/chat/completions",
                {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]},
            ),
            ("/models", None),
        ):
            began = time.monotonic()
            headers = {"Authorization": f"Bearer {trial.server.app_key}"}
            response = trial.session.request(
                "POST" if body else "GET", trial.base + path, json=body, headers=headers, timeout=30
            )
            assert (response.status_code, response.json()["error"]["code"]) == (
                503,
                "database_unavailable",
            ), path
            assert response.headers["retry-after"]
            assert time.monotonic() - began < 5
        assert trial.fake.count == 0
        assert not spooled(trial)
    finally:
        database.start()
    wait_until(lambda: trial.chat(MODEL).status_code == 200, "calls are not served again")
    assert trial.pool() == (before[0], before[1] + 1, 0)


def read_only(database: Postgres, value: str) -> None:
    """Refuse writes, as a server does that was demoted."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")  # type: ignore[call-overload] - a literal of this file
        connection.execute("SELECT pg_reload_conf()")


def test_a_database_that_refuses_writes_loses_nothing(trial: Hub, database: Postgres) -> None:
    limit, settled, held = trial.pool()
    trial.fake.mode = "slow:1"
    caller = Caller(trial)
    wait_until(lambda: trial.fake.count == 1, "the provider was not called")
    read_only(database, "on")
    try:
        response = caller.answer()
        assert response.status_code == 200
        assert response.headers["x-request-id"].encode() in b"".join(spooled(trial))
        refused = trial.chat(MODEL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "database_unavailable",
        )
        assert trial.fake.count == 1
        time.sleep(1.5)  # the spool is tried meanwhile, and kept
        assert response.headers["x-request-id"].encode() in b"".join(spooled(trial))
    finally:
        read_only(database, "off")
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    [record] = trial.records(response.headers["x-request-id"])
    assert (record["status"], record["credits"]) == ("ok", 1)
    assert trial.pool() == (limit, settled + 1, held)
    assert not (trial.server.data / REJECTED).exists()


def test_with_neither_database_nor_disk_no_provider_is_asked(
    trial: Hub, database: Postgres
) -> None:
    trial.fake.mode = "slow:1"
    caller = Caller(trial)
    wait_until(lambda: trial.fake.count == 1, "the provider was not called")
    path = trial.server.data / FILE
    path.unlink(missing_ok=True)
    path.mkdir()
    read_only(database, "on")
    try:
        response = caller.answer()
        assert response.status_code == 200
    finally:
        read_only(database, "off")
    log = trial.server.log.read_text(errors="replace")
    [line] = [line for line in log.splitlines() if "neither the database nor the disk" in line]
    assert f'"request_id":"{response.headers["x-request-id"]}"' in line
    refused = trial.chat(MODEL)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_unavailable")
    assert refused.headers["retry-after"]
    assert trial.fake.count == 1
    ready = requests.get(f"{trial.server.url}/readyz", timeout=10)
    assert (ready.status_code, list(ready.json()["checks"])[-1]) == (503, "records")
    path.rmdir()
    wait_until(lambda: trial.chat(MODEL).status_code == 200, "calls are not served again")


REFUSE = """
    CREATE FUNCTION refuse_ends() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$;
    CREATE TRIGGER refuse_ends BEFORE INSERT ON quotas_callrecord
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ends()"""
REFUSALS = {
    "lock time-out": "55P03",
    "statement time-out": "57014",
    "full disk": "53100",
    "deadlock": "40P01",
    "read-only": "25006",
    "missing table": "42P01",
}


@pytest.mark.parametrize("state", REFUSALS.values(), ids=REFUSALS.keys())
def test_an_end_that_is_refused_is_written_later(trial: Hub, state: str) -> None:
    limit, settled, held = trial.pool()
    trial.execute(REFUSE.format(state=state))
    try:
        responses = [trial.chat(MODEL), trial.chat(MODEL, stream=True)]
        for response in responses:
            assert response.status_code == 200
            assert response.headers["x-request-id"].encode() in b"".join(spooled(trial))
        ready = requests.get(f"{trial.server.url}/readyz", timeout=10).json()
        assert (ready["status"], "wait" in ready["checks"]["spool"]) == ("degraded", True)
    finally:
        trial.execute("DROP FUNCTION refuse_ends CASCADE")
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    for response in responses:
        [record] = trial.records(response.headers["x-request-id"])
        assert (record["status"], record["credits"]) == ("ok", 1)
    assert trial.pool() == (limit, settled + 2, held)
    assert not (trial.server.data / REJECTED).exists()


def test_all_connections_are_taken(trial: Hub, database: Postgres) -> None:
    """Whoever took them, calls that need no new one are served; later all are."""
    _limit, settled, held = trial.pool()
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(database.url))
        answers = [trial.chat(MODEL) for _number in range(3)]
        for answer in answers:
            assert answer.status_code in (200, 503)
            if answer.status_code == 503:
                assert answer.json()["error"]["code"] == "database_unavailable"
    wait_until(lambda: trial.chat(MODEL).status_code == 200, "calls are not served again")
    served = sum(answer.status_code == 200 for answer in answers)
    wait_until(lambda: not spooled(trial), "the spool was not replayed")
    for answer in answers:
        records = trial.records(answer.headers["x-request-id"])
        assert len(records) <= 1
        assert bool(records) or answer.status_code == 503
    wait_until(lambda: trial.pool()[2] == held, "a hold stays open")
    assert trial.pool()[1] - settled >= served + 1
