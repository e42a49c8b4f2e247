"""/metrics counts what all workers of a server do, for whoever has the token."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from django.test import Client

from config.metrics import disk_lines
from core.db import query_times
from core.metrics import kinds
from core.metrics.kinds import METRICS, Counter, Gauge
from core.metrics.memory import Memory
from gateway.dataplane.measures import table
from gateway.dataplane.store.spool import FILE, REJECTED
from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, children, running_hub

DECLARING = (query_times, table)  # importing them declares the metrics
ROOT = Path(__file__).parents[2]
TOKEN = "of-prometheus-0123456789"
OFFER = {"Authorization": f"Bearer {TOKEN}"}


def samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _space, value in lines}


def total(text: str, start: str) -> float:
    return sum(value for name, value in samples(text).items() if name.startswith(start))


def test_there_is_no_page_without_a_token_and_none_for_strangers(client: Client, settings) -> None:
    assert client.get("/metrics").status_code == 404
    settings.MODELKEEP_METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer no"}).status_code == 401
    assert client.get("/metrics", headers=OFFER).status_code == 200


def test_there_are_at_most_500_lines_whatever_happens() -> None:
    assert sum(metric.most for metric in METRICS) + 3 <= 500


def test_lines_of_the_spool_are_counted_without_the_blank_ones(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"one": 1}\n\n\n{"two": 2}\n')
    (tmp_path / REJECTED).write_text('{"bad": 1}\n')
    found = samples("\n".join(disk_lines(tmp_path)))
    assert found["modelkeep_spool_lines"] == 2
    assert found["modelkeep_spool_rejected_lines"] == 1


def test_what_a_worker_counted_outlives_it_and_what_it_holds_does_not(monkeypatch) -> None:
    memory = Memory()
    monkeypatch.setattr(kinds, "memory", memory)
    monkeypatch.setattr(kinds, "METRICS", [])
    counted, held = Counter("a_total", "A.", ("kind",), [("x",), ("y",)]), Gauge("b", "B.")
    memory.share(2)
    rows = [memory.lend(), memory.lend()]
    for row in rows:
        memory.use(row)
        counted.add("x")
        counted.add("never declared")
        held.set(3)
    assert samples(kinds.exposition()) == {'a_total{kind="x"}': 2, "b": 6}
    memory.take_back(rows[0])
    assert samples(kinds.exposition()) == {'a_total{kind="x"}': 2, "b": 3}
    assert memory.lend() == rows[0]


def test_the_document_lists_every_metric() -> None:
    text = (ROOT / "docs" / "operators.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(modelkeep_\w+)`[^|]*\| (.+) \|$", text, re.MULTILINE))
    disk = re.findall(r"# HELP (\w+) (.+)", "\n".join(disk_lines(ROOT)))
    assert told == {metric.name: metric.about for metric in METRICS} | dict(disk)


@pytest.fixture(scope="module")
def measured() -> Iterator[Hub]:
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake, workers=2, MODELKEEP_METRICS_TOKEN=TOKEN):
            values = {"api_key": KEY}
            hub.seed(
                credentials=[
                    {"provider": "openai", "name": "A", "values": values, "base_url": fake.url}
                ]
            )
            yield hub


def scrape(hub: Hub) -> str:
    answer = requests.get(f"{hub.server.url}/metrics", headers=OFFER, timeout=20)
    assert answer.status_code == 200
    assert hub.server.workspace not in answer.text.replace("modelkeep", "")
    return answer.text


def wait_for(hub: Hub, start: str, value: float) -> str:
    until = time.monotonic() + 20
    while total(text := scrape(hub), start) != value:
        assert time.monotonic() < until, text
        time.sleep(0.05)
    return text


@pytest.mark.slow
@pytest.mark.one_database
def test_two_workers_are_one_server_in_the_middle_of_load_and_after_a_kill(measured: Hub) -> None:
    def send(number: int) -> int:
        headers = {"Authorization": f"Bearer {measured.server.app_key}"}
        body = {"model": CHAT, "messages": [{"role": "user", "content": "Hi"}]}
        body |= {"stream": number % 2 == 0}
        return requests.post(
            f"{measured.base}/chat/completions", json=body, headers=headers, timeout=30
        ).status_code

    ok = 'modelkeep_calls_total{operation="chat.completions",provider="openai",status="2xx"}'
    with ThreadPoolExecutor(4) as threads:
        statuses = threads.map(send, range(24))
        during = [total(scrape(measured), ok) for _ in range(5)]
        assert list(statuses) == [200] * 24
    assert during == sorted(during)
    text = wait_for(measured, ok, 24)
    assert total(text, "modelkeep_upstream_seconds_count") == 24
    assert total(text, "modelkeep_first_piece_seconds_count") == 12
    assert total(text, "modelkeep_open_calls") == total(text, "modelkeep_open_streams") == 0

    measured.fake.mode = "break:3"
    assert send(0) == 200
    measured.fake.mode = ""
    text = wait_for(measured, ok.replace("2xx", "5xx"), 1)
    assert total(text, ok) == 24
    assert total(text, 'modelkeep_errors_total{code="provider_error"}') == 1
    assert total(text, 'modelkeep_store_seconds_count{step="read"}') == 25
    assert total(text, 'modelkeep_store_seconds_count{step="record"}') == 25
    assert total(text, "modelkeep_query_seconds_count") > 0

    requests.post(f"{measured.base}/chat/completions", timeout=10)
    wait_for(measured, 'modelkeep_calls_total{operation="none",provider="none",status="4xx"}', 1)
    before = children(measured.server.pid)
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while before[0] in (now := children(measured.server.pid)) or len(now) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert send(0) == 200
    wait_for(measured, ok, 25)
