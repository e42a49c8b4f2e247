"""Trials through the endpoint: exact under concurrency and kills, charged by the table, three
different ways to say no.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.urls import resolve

from tests.command_server import REPOSITORY
from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, children, running_hub

pytestmark = pytest.mark.slow  # a server runs

MODEL = "openai/gpt-3.5-turbo"
OWN = "openai/gpt-4o"
PROCESSES, THREADS = 4, 8
PATIENCE = 300  # seconds for clients on a busy machine; they end when the trial is used up


def trial_hub(limit: int, workers: int = 1) -> Iterator[Hub]:
    with Running(FakeProvider(keep_calls=0)) as fake:
        for hub in running_hub(fake, workers=workers, MODELKEEP_CALL_DEADLINE="5"):
            hub.seed(
                plan={
                    "plan": "openai",
                    "limit": limit,
                    "models": {"gpt-3.5-turbo": 1, "gpt-3.5-turbo-16k": 3, "gpt-image-2": 2},
                    "values": {"api_key": KEY, "base_url": fake.url},
                }
            )
            yield hub


@pytest.fixture(scope="module")
def plenty() -> Iterator[Hub]:
    """A trial that is far from its end. The audit sees every call of it."""
    for hub in trial_hub(100_000):
        yield hub
        hub.audit()


@pytest.fixture
def trial(plenty: Hub) -> Hub:
    plenty.fake.reset()
    return plenty


def clients(hub: Hub, seconds: float) -> list[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.gateway.client",
        f"{hub.base}/chat/completions",
        hub.server.app_key,
        MODEL,
        str(THREADS),
        str(seconds),
    ]
    return [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _number in range(PROCESSES)
    ]


def counted(running: list[subprocess.Popen[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for process in running:
        output, _errors = process.communicate(timeout=PATIENCE + 30)
        total.update(json.loads(output))
    return total


def test_a_trial_of_500_serves_exactly_500_calls() -> None:
    for hub in trial_hub(500, workers=2):
        seen = counted(clients(hub, PATIENCE))
        assert seen == {"200": 500, "402": PROCESSES * THREADS}
        assert hub.pool() == (500, 500, 0)
        assert hub.fake.count == 500
        assert hub.rows(
            "SELECT count(*), sum(credits) FROM quotas_callrecord WHERE credits > 0"
        ) == [(500, 500)]
        hub.audit()


def kill_workers(hub: Hub, running: list[subprocess.Popen[str]], at: range) -> None:
    """Kill a worker each time that so many credits are settled: the oldest, which is busy."""
    for credits in at:
        while hub.pool()[1] < credits:
            assert all(process.poll() is None for process in running), "the clients ended"
            time.sleep(0.02)
        oldest = min(children(hub.server.pid))
        os.kill(oldest, signal.SIGKILL)
        while oldest in children(hub.server.pid):
            time.sleep(0.02)


def test_killed_workers_lose_and_invent_nothing() -> None:
    for hub in trial_hub(600, workers=2):
        hub.fake.mode = "slow:0.02"
        running = clients(hub, PATIENCE)
        kill_workers(hub, running, at=range(100, 401, 100))
        seen = counted(running)
        assert seen["200"] > 100
        assert seen["lost"] > 0
        # What is held for killed workers counts as used.
        assert seen["402"] == PROCESSES * THREADS
        hub.server.manage("shell", "-c", _REAP_ALL)
        _limit, settled, held = hub.pool()
        unknown = hub.rows("SELECT count(*) FROM quotas_hold WHERE reason = 'unknown'")[0][0]
        assert held == 0
        # Whatever a client was given is charged; whatever is charged was sent, or may have been
        # when the worker died.
        assert seen["200"] <= settled
        assert settled - unknown <= hub.fake.count
        assert settled <= seen["200"] + seen["lost"]
        hub.audit()
        lose_no_call_with_an_own_key(hub)


def lose_no_call_with_an_own_key(hub: Hub) -> None:
    """Calls under way in killed workers have a record, once and as unknown; those before have
    theirs.
    """
    values = {"api_key": KEY}
    own = {"provider": "openai", "name": "Own", "values": values, "base_url": hub.fake.url}
    hub.seed(credentials=[own])
    hub.fake.reset()
    before = [hub.chat(OWN).headers["x-request-id"] for _number in range(4)]
    hub.fake.mode = "hang"
    callers = [threading.Thread(target=cut_off, args=(hub,)) for _number in range(4)]
    for caller in callers:
        caller.start()
    while hub.fake.count < len(before) + len(callers):
        time.sleep(0.02)
    for worker in children(hub.server.pid):
        os.kill(worker, signal.SIGKILL)
    for caller in callers:
        caller.join()
    sql = "SELECT request_id, error_code FROM quotas_callrecord WHERE source = 'credential:Own'"
    until = time.monotonic() + PATIENCE / 3
    while len(records := hub.rows(sql)) < len(before) + len(callers):
        assert time.monotonic() < until, records
        time.sleep(0.1)
    assert sorted(code for _request, code in records) == [""] * 4 + ["unknown"] * 4
    assert len({request for request, _code in records}) == 8
    assert {request for request, code in records if not code} == set(before)


def cut_off(hub: Hub) -> None:
    with contextlib.suppress(requests.ConnectionError):
        requests.post(
            f"{hub.base}/chat/completions",
            json={"model": OWN, "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {hub.server.app_key}"},
            timeout=30,
        )


_REAP_ALL = """
from datetime import timedelta
from django.utils import timezone
from quotas.ledger.reap import reap
reap(now=timezone.now() + timedelta(hours=1), limit=100000)
"""


# ---------------------------------------------------------------------------------- what is charged


@pytest.mark.parametrize(
    ("mode", "stream", "status", "credits"),
    [
        ("ok", False, 200, 1),
        ("ok", True, 200, 1),
        ("status:400", False, 400, 0),
        ("status:500", False, 502, 0),
        ("status:500", True, 502, 0),
        ("close", False, 502, 0),
        ("break:0", True, 502, 0),
        ("break:4", True, 200, 1),
        ("html", False, 502, 0),
        ("hang", False, 504, 0),
    ],
)
def test_what_a_call_costs(trial: Hub, mode: str, stream: bool, status: int, credits: int) -> None:
    before = trial.pool()[1]
    trial.fake.mode = mode
    response = trial.chat(MODEL, stream=stream)
    assert response.status_code == status
    assert response.text
    assert trial.pool()[1] - before == credits
    assert trial.pool()[2] == 0
    record = trial.record(response)
    assert (record["credits"], record["source"]) == (credits, "trial:openai")


def test_an_image_that_cannot_be_fetched_costs_nothing(trial: Hub) -> None:
    images = {"created": 1, "data": [{"url": f"{trial.fake.url}/pictures/1.png"}]}
    trial.fake.script(f"body:200:{json.dumps(images)}", "status:403")
    before = trial.pool()
    body = {"model": "openai/gpt-image-2", "prompt": "a", "response_format": "b64_json"}
    response = trial.post("/images/generations", body)
    assert response.status_code == 502
    assert "could not be fetched" in response.json()["error"]["message"]
    assert trial.pool() == before
    record = trial.record(response)
    assert (record["credits"], record["cost"], record["images"]) == (0, None, None)


def test_the_answer_says_what_is_left(trial: Hub) -> None:
    before = trial.pool()
    response = trial.chat("openai/gpt-3.5-turbo-16k")
    assert response.headers["x-modelkeep-source"] == "trial:openai"
    assert int(response.headers["x-modelkeep-credits-remaining"]) == before[0] - before[1] - 3
    streamed = trial.chat(MODEL, stream=True)
    assert int(streamed.headers["x-modelkeep-credits-remaining"]) == before[0] - before[1] - 4
    assert streamed.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ],
)
def test_nothing_that_the_operators_account_stores_can_be_named(
    trial: Hub, body: dict[str, Any], field: str
) -> None:
    before, calls = trial.pool(), trial.fake.count
    response = trial.post("/responses", {"model": MODEL, "input": "Hi"} | body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field
    assert (trial.pool(), trial.fake.count) == (before, calls)


def test_a_client_that_left_pays_when_the_provider_had_answered(trial: Hub) -> None:
    before = trial.pool()[1]
    trial.fake.mode = "drip:0.003"
    with trial.chat(MODEL, stream=True, stream_body=True) as response:
        next(response.iter_lines())
        request_id = response.headers["x-request-id"]
    assert trial.wait_for_record(request_id)["status"] == "cancelled"
    assert trial.pool()[1:] == (before + 1, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("mode", "retry_after"),
    [
        ("status:401", None),
        ("status:403", None),
        ("status:402", None),
        ("status:429:120:insufficient_quota", "120"),
        ("status:429:120", "120"),
        ("status:429", None),
    ],
)
def test_the_operators_account_is_its_own_error(
    trial: Hub, mode: str, retry_after: str | None, stream: bool
) -> None:
    """Refused, without rights, without money, throttled: neither the client's key nor the trial's
    credits are to blame.
    """
    before = trial.pool()
    trial.fake.mode = mode
    response = trial.chat(MODEL, stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (
        503,
        "trial_provider_unavailable",
    )
    assert response.headers.get("retry-after") == retry_after
    assert "No credit was used" in response.json()["error"]["message"]
    assert trial.pool() == before
    assert {record["credits"] for record in trial.records(response.headers["x-request-id"])} == {0}


def test_what_is_not_the_account_is_the_providers_error(trial: Hub) -> None:
    trial.fake.mode = "status:500"
    response = trial.chat(MODEL)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "provider_error")


def test_a_model_outside_the_trial_is_its_own_error(trial: Hub) -> None:
    response = trial.chat("openai/gpt-4o-mini")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "model_not_in_trial")
    assert page_named_in(response) == (
        "provider-credentials",
        {"workspace": "main", "provider": "openai"},
    )
    assert trial.fake.count == 0


def test_a_trial_that_is_used_up_names_the_page_to_go_to() -> None:
    for hub in trial_hub(1):
        assert hub.chat(MODEL).status_code == 200
        refused = hub.chat(MODEL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "trial_exhausted")
        assert page_named_in(refused) == (
            "provider-credentials",
            {"workspace": "main", "provider": "openai"},
        )


def page_named_in(response: requests.Response) -> tuple[str | None, dict[str, str]]:
    """The page whose address stands in an error's message."""
    found = re.search(r"/t/\S+/", response.json()["error"]["message"])
    assert found, response.text
    match = resolve(found[0])
    return match.url_name, match.kwargs


# ---------------------------------------------------------------------------------- Idempotency-Key


def test_a_repeat_is_not_called_and_not_charged_again(trial: Hub) -> None:
    before = trial.pool()[1]
    key = {"Idempotency-Key": f"once-{time.monotonic_ns()}"}
    assert trial.chat(MODEL, headers=key).status_code == 200
    repeat = trial.chat(MODEL, headers=key)
    assert (repeat.status_code, repeat.json()["error"]["code"]) == (409, "already_done")
    other = trial.chat(MODEL, headers=key, temperature=1)
    assert other.status_code == 422
    assert trial.pool()[1] == before + 1
    assert trial.fake.count == 1


def test_another_app_key_with_the_same_one_makes_a_call_of_its_own(trial: Hub) -> None:
    """One key must neither block nor learn of another's calls."""
    before = trial.pool()[1]
    key = {"Idempotency-Key": f"shared-{time.monotonic_ns()}"}
    neighbour = trial.app_key()
    assert trial.chat(MODEL, headers=key).status_code == 200
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Something else"}]}
    assert trial.post(body=body, key=neighbour, headers=key).status_code == 200
    repeat = trial.post(body=body, key=neighbour, headers=key)
    assert repeat.json()["error"]["code"] == "already_done"
    assert (trial.pool()[1], trial.fake.count) == (before + 2, 2)


def test_a_repeat_while_the_first_is_under_way(trial: Hub) -> None:
    trial.fake.mode = "slow:1"
    key = {"Idempotency-Key": f"twice-{time.monotonic_ns()}"}
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(trial.chat(MODEL, headers=key).status_code)
    )
    thread.start()
    time.sleep(0.4)
    repeat = trial.chat(MODEL, headers=key)
    thread.join()
    assert (repeat.status_code, repeat.json()["error"]["code"]) == (409, "in_progress")
    assert statuses == [200]


def test_a_request_id_that_comes_twice_is_no_repeat(trial: Hub) -> None:
    for _number in range(2):
        assert trial.chat(MODEL, headers={"X-Request-Id": "from-a-proxy-1"}).status_code == 200


def test_a_number_beyond_64_bits_is_left_to_the_provider(trial: Hub) -> None:
    limit, settled, held = trial.pool()
    assert trial.chat(MODEL, seed=2**70).status_code == 200
    assert (trial.pool(), trial.fake.count) == ((limit, settled + 1, held), 1)


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_one_credit_buys_one_answer(trial: Hub, name: str) -> None:
    before = trial.pool()
    refused = trial.chat(MODEL, **{name: 1000})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)
    assert (trial.pool(), trial.fake.count) == (before, 0)
    assert trial.chat(MODEL, **{name: 1}).status_code == 200


@pytest.mark.parametrize("key", ["k" * 256, "ключ".encode().decode("latin-1")])
def test_keys_that_cannot_be_one(trial: Hub, key: str) -> None:
    assert trial.chat(MODEL, headers={"Idempotency-Key": key.encode("latin-1")}).status_code == 400


# ------------------------------------------------------------------------------------- both sources


def test_own_key_or_trial_first_as_the_workspace_chose(plenty: Hub) -> None:
    plenty.fake.reset()
    plenty.seed(
        credentials=[
            {
                "provider": "openai",
                "name": "Own",
                "values": {"api_key": KEY},
                "base_url": plenty.fake.url,
            }
        ]
    )
    assert plenty.chat(MODEL).headers["x-modelkeep-source"] == "credential:Own"
    plenty.seed(orders={"openai": "trial_first"})
    assert plenty.chat(MODEL).headers["x-modelkeep-source"] == "trial:openai"
    # The operator's account fails: the own key serves, and the answer and both records say so.
    plenty.fake.script("status:401")
    response = plenty.chat(MODEL)
    assert response.headers["x-modelkeep-source"] == "credential:Own"
    assert [record["source"] for record in plenty.records(response.headers["x-request-id"])] == [
        "trial:openai",
        "credential:Own",
    ]
    # What the provider says of the operator's account is nobody else's business; all else is told.
    assert words(plenty, response) == [None, None]
    plenty.fake.script('body:500:{"error":{"message":"A disk is full.","param":"messages"}}')
    response = plenty.chat(MODEL)
    assert response.headers["x-modelkeep-source"] == "credential:Own"
    assert words(plenty, response) == [("A disk is full.", "messages")] * 2
    plenty.audit()


def words(hub: Hub, response: requests.Response) -> list[tuple[str, str] | None]:
    records = hub.records(response.headers["x-request-id"])
    told = [(record["error_message"], record["error_param"]) for record in records]
    return [pair if any(pair) else None for pair in told]
