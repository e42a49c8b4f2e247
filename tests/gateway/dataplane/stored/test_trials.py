"""Batches on a trial: two workspaces in the operator's account, each with credits of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest
import requests

from tests.gateway.conftest import KEY, children
from tests.gateway.dataplane.stored.conftest import MODEL, Stage, jsonl
from tests.gateway.dataplane.stored.test_sdk import wait_for

pytestmark = pytest.mark.slow
DEAR = "gpt-4o"  # a line costs 3 credits
LIMIT = 200
CHAT = "/v1/chat/completions"
STORED = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}


@dataclass
class Trier:
    """A workspace without a key of its own."""

    stage: Stage
    slug: str
    client: openai.OpenAI

    @property
    def pool(self) -> tuple[int, int]:
        """(used, held) of its trial."""
        ((settled, held),) = self.rows("pool.settled, pool.held FROM quotas_creditpool AS pool")
        return settled, held

    def rows(self, query: str, where: str = "") -> list[tuple[Any, ...]]:
        """Rows of the workspace. `query`: with the alias pool, for the trial of OpenAI."""
        return self.stage.hub.rows(
            f"SELECT {query} JOIN tenants_tenant AS owner ON owner.id = pool.tenant_id "
            f"JOIN quotas_trialplan AS plan ON plan.id = pool.plan_id "
            f"WHERE owner.slug = '{self.slug}' AND plan.slug = 'openai' {where}"
        )

    def records(self) -> list[tuple[Any, ...]]:
        """(model, credits, status, source) of its finished holds, the oldest first."""
        return self.rows(
            "record.model, record.credits, record.status, record.source FROM quotas_callrecord "
            "AS record JOIN quotas_hold AS hold ON hold.id = record.hold_id "
            "JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id",
            "ORDER BY record.id",
        )

    def upload(self, *models: str, **body: Any) -> Any:
        content = jsonl(*(models or (MODEL,)), **body)
        return self.client.files.create(file=("lines.jsonl", content), purpose="batch")

    def begin(self, *models: str, **options: Any) -> Any:
        return self.create(self.upload(*models).id, **options)

    def create(self, file_id: str, **options: Any) -> Any:
        return self.client.batches.create(
            input_file_id=file_id, endpoint=CHAT, completion_window="24h", **options
        )


def let_the_server_ask(stage: Stage, age: timedelta | None = None) -> None:
    """Make all batches due. `age`: since they were created."""
    long_ago = "'2026-01-01 00:00:00+00:00'"
    moved = f", created = '{datetime.now(UTC) - age}'" if age else ""
    stage.hub.execute(
        f"UPDATE providers_storedbatch SET checked = {long_ago}{moved} WHERE recorded IS NULL"
    )


def sent_by(trier: Trier) -> int:
    """How many files and batches the provider was sent. The server itself may ask meanwhile."""
    return sum(call.method == "POST" for call in trier.stage.fake.calls)


@pytest.fixture(scope="module")
def pair(stage: Stage) -> Iterator[list[Trier]]:
    triers = []
    for slug in ("trier", "other"):
        owner = f"owner@{slug}.example"
        made = stage.hub.server.manage("init", "--workspace", slug, "--owner", owner, "--json")
        triers.append(Trier(stage, slug, stage.client(json.loads(made)["app_key"])))
    switch(stage, on=True)
    yield triers
    stage.hub.audit()


def switch(stage: Stage, *, on: bool) -> None:
    plan = {
        "plan": "openai",
        "limit": LIMIT,
        "models": {MODEL: 1, DEAR: 3},
        "values": {"api_key": KEY, "base_url": stage.fake.url},
        "on": on,
    }
    stage.hub.server.python("-m", "tests.gateway.seed", "globex", json.dumps({"plan": plan}))


@pytest.fixture
def trier(pair: list[Trier]) -> Trier:
    return pair[0]


def line(number: int, model: str, status: int = 200) -> bytes:
    body = {"model": model, "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    response = {"status_code": status, "body": body}
    return json.dumps({"custom_id": f"line-{number}", "response": response}).encode() + b"\n"


def test_answered_lines_are_charged_and_the_rest_is_given_back(trier: Trier) -> None:
    (used, held), before = trier.pool, len(trier.records())
    batch = trier.begin(MODEL, f"openai/{MODEL}", MODEL, DEAR, DEAR)
    assert trier.pool == (used, held + 3 + 6)
    stage = trier.stage
    stage.fake.output = line(0, MODEL) + line(1, MODEL) + line(2, MODEL, 400) + line(3, DEAR)
    stage.fake.finish(status="expired")
    assert trier.client.batches.retrieve(batch.id).status == "expired"
    records = wait_for(lambda: trier.records()[before + 1 :] and trier.records()[before:])
    assert records == [(MODEL, 2, "ok", "trial:openai"), (DEAR, 3, "ok", "trial:openai")]
    assert trier.pool == (used + 5, held)
    let_the_server_ask(stage)
    trier.client.batches.retrieve(batch.id)
    assert len(trier.records()) == before + 2


def test_a_batch_that_does_not_fit_is_refused_with_both_numbers(trier: Trier) -> None:
    left = LIMIT - sum(trier.pool)
    with pytest.raises(openai.APIStatusError) as caught:
        trier.upload(*[MODEL] * (left + 1))
    assert caught.value.status_code == 402
    assert f"needs {left + 1} credits of the OpenAI trial, and {left} are left" in str(caught.value)
    assert caught.value.response.headers["x-modelkeep-credits-remaining"] == str(left)
    assert not sent_by(trier)
    files = [trier.upload(*[MODEL] * (left - 1)) for _number in range(2)]
    batch = trier.create(files[0].id)
    sent = sent_by(trier)
    with pytest.raises(openai.APIStatusError, match=f"needs {left - 1} .* and 1 are left"):
        trier.create(files[1].id)
    assert sent_by(trier) == sent
    assert LIMIT - sum(trier.pool) == 1
    assert trier.client.batches.cancel(batch.id).status == "cancelled"
    wait_for(lambda: LIMIT - sum(trier.pool) == left)


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_batch_that_did_nothing_costs_nothing(trier: Trier, status: str) -> None:
    pool, before = trier.pool, len(trier.records())
    batch = trier.begin(MODEL, MODEL)
    list(trier.stage.fake.batches.values())[-1].said["status"] = status
    trier.client.batches.retrieve(batch.id)
    ((_model, credits, told, _source),) = wait_for(lambda: trier.records()[before:])
    assert (credits, told) == (0, "cancelled" if status == "cancelled" else "error")
    assert trier.pool == pool


def test_workspaces_in_the_operators_account_see_nothing_of_each_other(pair: list[Trier]) -> None:
    batch, other = pair[0].begin(), pair[1].client
    pair[0].stage.fake.finish()
    done = pair[0].client.batches.retrieve(batch.id)
    own = [list(pair[0].stage.fake.files)[-1], list(pair[0].stage.fake.batches)[-1]]
    assert not list(other.files.list())
    assert not list(other.batches.list())
    for file_id in (batch.input_file_id, done.output_file_id, own[0]):
        for ask in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(file_id)
        with pytest.raises(openai.NotFoundError):
            pair[1].create(file_id)
    for batch_id in (batch.id, own[1]):
        for ask in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(batch_id)
    assert "modelkeep_batch" not in done.to_json()
    # Not even if the provider gives both of them the same id.
    pair[0].stage.fake.gives_id = own[0]
    with pytest.raises(openai.APIStatusError, match="no usable ID"):
        pair[1].upload()
    assert pair[0].client.files.content(done.output_file_id).read()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"n": 2}, "Line 1: A trial call returns one answer"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
                ]
            },
            "Line 1: A trial call cannot use stored files",
        ),
    ],
)
def test_a_line_that_a_trial_does_not_pay_for_is_named(
    trier: Trier, body: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        trier.upload(**body)
    assert not sent_by(trier)


def test_the_operators_account_stores_no_response(trier: Trier) -> None:
    content = jsonl(MODEL, path="/v1/responses", input="Hi", messages=None)
    content = content.replace(b', "messages": null', b"")
    trier.client.files.create(file=("lines.jsonl", content), purpose="batch")
    kept = list(trier.stage.fake.files.values())[-1].content
    assert json.loads(kept)["body"]["store"] is False


def test_a_batch_asks_for_nothing_else_of_the_operators_account(trier: Trier) -> None:
    file, pool = trier.upload(), trier.pool
    for more in ({"output_folder": {"url": "https://b.example"}}, {"metadata": ["x"]}):
        with pytest.raises(openai.BadRequestError, match=next(iter(more))):
            trier.create(file.id, extra_body=more)
    assert trier.pool == pool
    batch = trier.create(file.id, metadata={"mine": "yes"})
    assert batch.metadata == {"mine": "yes"}
    assert list(trier.stage.fake.batches.values())[-1].said["metadata"].keys() > {"mine"}
    trier.client.batches.cancel(batch.id)
    with pytest.raises(openai.APIStatusError, match="Add a provider's key"):
        trier.client.files.create(file=("a.txt", b"a"), purpose="user_data")


def test_a_trial_keeps_few_files(trier: Trier) -> None:
    kept = trier.client.files.list(purpose="batch").data
    made = [trier.upload() for _number in range(50 - len(kept))]
    sent = sent_by(trier)
    with pytest.raises(openai.BadRequestError, match="keeps 50 files of requests at most"):
        trier.upload()
    assert sent_by(trier) == sent
    for file in made:
        trier.client.files.delete(file.id)


def test_the_credits_come_back_if_the_provider_refuses(trier: Trier) -> None:
    file, pool, before = trier.upload(), trier.pool, len(trier.records())
    trier.stage.fake.script("status:400")
    with pytest.raises(openai.BadRequestError):
        trier.create(file.id)
    assert trier.pool == pool
    assert [record[1:3] for record in trier.records()[before:]] == [(0, "error")]
    trier.stage.fake.script("status:401")
    with pytest.raises(openai.InternalServerError, match="operator's OpenAI account"):
        trier.create(file.id)
    assert trier.pool == pool


def test_a_batch_is_created_once_for_an_idempotency_key(trier: Trier) -> None:
    file, (used, held) = trier.upload(), trier.pool
    same = {"extra_headers": {"Idempotency-Key": "batch-1"}}
    batch = trier.create(file.id, **same)
    with pytest.raises(openai.ConflictError):
        trier.create(file.id, **same)
    with pytest.raises(openai.UnprocessableEntityError):
        trier.create(file.id, metadata={"other": "yes"}, **same)
    assert trier.pool == (used, held + 1)
    trier.client.batches.cancel(batch.id)


def test_an_answer_that_gets_lost_is_found_again(trier: Trier) -> None:
    file, (used, held) = trier.upload(), trier.pool
    created = len(trier.stage.fake.batches)
    trier.stage.fake.script("break")
    batch = trier.create(file.id)
    assert len(trier.stage.fake.batches) == created + 1
    assert trier.client.batches.list().data[0].id == batch.id
    assert trier.pool == (used, held + 1)
    trier.stage.fake.finish()
    trier.client.batches.retrieve(batch.id)
    wait_for(lambda: trier.pool == (used + 1, held))


def test_a_batch_that_never_was_is_given_back_later(trier: Trier) -> None:
    file, (used, held) = trier.upload(), trier.pool
    known = [batch.id for batch in trier.client.batches.list()]
    trier.stage.fake.script("status:500")
    with pytest.raises(openai.InternalServerError):
        trier.create(file.id)
    assert trier.pool == (used, held + 1)  # it may come yet
    assert [batch.id for batch in trier.client.batches.list()] == known
    let_the_server_ask(trier.stage, age=timedelta(hours=1))
    wait_for(lambda: trier.pool == (used, held))


def test_a_server_that_dies_before_the_answer_loses_no_batch(trier: Trier) -> None:
    file, (used, held) = trier.upload(), trier.pool
    hub, created = trier.stage.hub, len(trier.stage.fake.batches)
    known = [batch.id for batch in trier.client.batches.list()]
    trier.stage.fake.script("drip:5")
    headers = {"Authorization": f"Bearer {trier.client.api_key}"}
    asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(requests.Timeout):
        requests.post(f"{hub.base}/batches", json=asked, headers=headers, timeout=1)
    assert len(trier.stage.fake.batches) == created + 1
    (worker,) = children(hub.server.pid)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: children(hub.server.pid) not in ([], [worker]))
    assert trier.pool == (used, held + 1)
    let_the_server_ask(trier.stage, age=timedelta(hours=1))
    found = wait_for(
        lambda: [batch for batch in trier.client.batches.list() if batch.id not in known]
    )[0]
    trier.stage.fake.finish()
    assert trier.client.batches.retrieve(found.id).status == "completed"
    wait_for(lambda: trier.pool == (used + 1, held))
    assert len(trier.stage.fake.batches) == created + 1


def test_a_batch_that_is_gone_at_the_provider_is_charged_in_full(trier: Trier) -> None:
    used, held = trier.pool
    batch = trier.begin(MODEL, DEAR)
    trier.stage.fake.batches.popitem()
    with pytest.raises(openai.NotFoundError):
        trier.client.batches.retrieve(batch.id)
    assert trier.pool == (used, held + 4)
    let_the_server_ask(trier.stage, age=timedelta(days=2))
    wait_for(lambda: trier.pool == (used + 4, held))


def test_an_output_that_is_gone_is_charged_in_full(trier: Trier) -> None:
    used, held = trier.pool
    batch = trier.begin(MODEL, MODEL)
    trier.stage.fake.finish()
    del trier.stage.fake.files[list(trier.stage.fake.files)[-1]]
    trier.client.batches.retrieve(batch.id)
    wait_for(lambda: trier.pool == (used + 2, held))


def test_a_trial_that_ends_settles_what_runs(trier: Trier) -> None:
    file, (used, held) = trier.upload(MODEL, MODEL), trier.pool
    batch = trier.create(file.id)
    switch(trier.stage, on=False)
    try:
        with pytest.raises(openai.APIStatusError, match="trial has ended") as caught:
            trier.create(file.id)
        assert caught.value.status_code == 424
        account = {
            "provider": "openai",
            "name": "Own",
            "values": {"api_key": "sk-own-0123456789ab"},
        }
        account["base_url"] = trier.stage.fake.url
        seeded = json.dumps({"credentials": [account]})
        trier.stage.hub.server.python("-m", "tests.gateway.seed", "trier", seeded)
        trier.stage.fake.finish()
        assert trier.client.batches.retrieve(batch.id).status == "completed"
        wait_for(lambda: trier.pool == (used + 2, held))
        own = trier.begin(MODEL)  # from now on, with the key of its own
        trier.stage.fake.finish()
        trier.client.batches.retrieve(own.id)
        assert trier.pool == (used + 2, held)
    finally:
        switch(trier.stage, on=True)
