"""Two nodes behave as one: changes hold at once; restarts and crashes cost nobody else a call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import psycopg
import pytest

from tests.fakes.provider import FakeProvider, Running
from tests.nodes.stage import Load, Stage, kill, two_nodes
from tests.postgres import Postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_database,
    pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here"),
]
OWN, TRIAL = "openai/gpt-4o-mini", "openai/gpt-3.5-turbo"
FIRST, SECOND = "sk-first-" + "a" * 40, "sk-second-" + "b" * 40


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("nginx")
    with (
        Postgres(durable=False) as server,
        Running(FakeProvider(delay=0.02)) as fake,
        two_nodes(fake, server.url, folder) as stage,
    ):
        address = {"base_url": fake.url}
        seed = {
            "credentials": [
                {"provider": "openai", "name": "Main", "values": {"api_key": FIRST}} | address
            ],
            "plan": {
                "plan": "openai",
                "limit": 100_000,
                "models": {"gpt-3.5-turbo": 1},
                "values": {"api_key": SECOND} | address,
            },
            "orders": {"openai": "trial_first"},
            "defaults": {"reasoning": [OWN]},
        }
        one = stage.nodes[0]
        one.python("-m", "tests.gateway.seed", one.workspace, json.dumps(seed))
        yield stage


def sent_key(stage: Stage) -> str:
    """The key with which the provider was last asked."""
    headers = {name.lower(): value for name, value in stage.fake.calls[-1].headers.items()}
    return str(headers["authorization"]).removeprefix("Bearer ")


def test_a_change_on_one_node_holds_on_the_other_with_the_next_call(stage: Stage) -> None:
    a, b = stage.nodes
    assert stage.chat(b, None).status_code == 200  # the workspace's default model
    assert stage.fake.calls[-1].json()["model"] == "gpt-4o-mini"
    default = {"model": "openai/gpt-6-luna"}
    answer = stage.ask(a, "PUT", "/api/v1/default-models/reasoning/", json=default)
    assert answer.status_code == 200, answer.text
    assert stage.chat(b, None).status_code == 200
    assert stage.fake.calls[-1].json()["model"] == "gpt-6-luna"

    assert (stage.chat(b, OWN).status_code, sent_key(stage)) == (200, FIRST)
    [credential] = stage.ask(a, "GET", "/api/v1/providers/openai/credentials/").json()["results"]
    path = f"/api/v1/providers/openai/credentials/{credential['id']}/"
    answer = stage.ask(a, "PATCH", path, json={"values": {"api_key": SECOND}})
    assert answer.status_code == 200, answer.text
    assert (stage.chat(b, OWN).status_code, sent_key(stage)) == (200, SECOND)

    answer = stage.ask(a, "PATCH", f"/api/v1/models/{OWN}/", json={"enabled": False})
    assert answer.status_code == 200, answer.text
    assert stage.chat(b, OWN).status_code in (403, 404)
    stage.ask(a, "PATCH", f"/api/v1/models/{OWN}/", json={"enabled": True})
    assert stage.chat(b, OWN).status_code == 200

    options = ("--name", "short", "--scopes", "use", "--json")
    made = json.loads(a.manage("app_key", a.workspace, *options))
    assert stage.chat(b, OWN, key=made["app_key"]).status_code == 200
    keys = stage.ask(a, "GET", "/api/v1/app-keys/").json()["results"]
    [key] = [row for row in keys if row["name"] == "short"]
    assert stage.ask(a, "DELETE", f"/api/v1/app-keys/{key['id']}/").status_code in (200, 204)
    assert stage.chat(b, OWN, key=made["app_key"]).status_code == 401


def recorded(stage: Stage) -> set[str]:
    with psycopg.connect(stage.nodes[0].env["DATABASE_URL"]) as opened:
        rows = opened.execute("SELECT request_id FROM quotas_callrecord WHERE status = 'ok'")
        return {row[0] for row in rows}


def test_a_rolling_restart_under_load_fails_no_call(stage: Stage) -> None:
    load = Load(stage, TRIAL)
    load.begin()
    try:
        load.wait_for(20)
        for node in stage.nodes:  # one right after the other
            node.stop()
            load.wait_for(10)
            node.start()
            load.wait_for(10)
    finally:
        load.end()
    assert load.outcomes.keys() == {"200"}, load.outcomes
    assert set(load.served) <= recorded(stage)


def test_a_node_that_is_killed_loses_nothing_that_was_acknowledged(stage: Stage) -> None:
    victim, _other = stage.nodes
    threads = 4
    load = Load(stage, TRIAL)
    load.begin(threads)
    try:
        load.wait_for(20)
        kill(victim)
        load.wait_for(30)
        victim.start()
        load.wait_for(20)
    finally:
        load.end()
    # Those that were in flight there.
    assert sum(number for name, number in load.outcomes.items() if name != "200") <= threads
    cut = {"cut", "ChunkedEncodingError", "ConnectionError"}  # streams
    assert load.outcomes.keys() <= {"200", "502"} | cut, load.outcomes
    assert set(load.served) <= recorded(stage)


def test_errors_of_nginx_itself_are_json(stage: Stage) -> None:
    answer = stage.ask(None, "POST", "/v1/chat/completions", data=b"x" * (34 * 1024 * 1024))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
