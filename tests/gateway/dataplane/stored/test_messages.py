"""Message batches through Anthropic's SDK, for two workspaces on one account and a stranger."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway.conftest import KEY
from tests.gateway.dataplane.stored.conftest import MODEL, Stage, jsonl
from tests.gateway.dataplane.stored.test_sdk import wait_for

pytestmark = pytest.mark.slow
CLAUDE = "claude-haiku-4-5-20251001"


def asking(*models: str, **params: Any) -> list[Any]:
    said = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]} | params
    return [
        {"custom_id": f"line-{number}", "params": {"model": model} | said}
        for number, model in enumerate(models)
    ]


def client_of(stage: Stage, key: openai.OpenAI) -> anthropic.Anthropic:
    url = stage.hub.server.url
    return anthropic.Anthropic(base_url=url, api_key=key.api_key, max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def clients(stage: Stage) -> list[anthropic.Anthropic]:
    """acme's and globex's."""
    account = {"provider": "anthropic", "values": {"api_key": KEY}, "base_url": stage.fake.url}
    stage.hub.seed(credentials=[{"name": "Claude", **account}])
    seeded = json.dumps({"credentials": [{"name": "Same account", **account}]})
    stage.hub.server.python("-m", "tests.gateway.seed", "globex", seeded)
    return [client_of(stage, key) for key in (stage.acme, stage.globex)]


def test_a_batch_is_passed_on_and_recorded_once(
    stage: Stage, clients: list[anthropic.Anthropic]
) -> None:
    before = len(stage.records())
    batches = clients[0].messages.batches
    batch = batches.create(requests=asking(f"anthropic/{CLAUDE}", CLAUDE, CLAUDE, CLAUDE))
    (identity, sent) = list(stage.fake.asked.items())[-1]
    assert [request["params"]["model"] for request in sent] == [CLAUDE] * 4
    assert (batch.processing_status, batch.results_url) == ("in_progress", None)
    assert identity not in batch.to_json()
    with pytest.raises(anthropic.ConflictError):
        batches.delete(batch.id)
    assert batches.cancel(batch.id).processing_status == "canceling"
    stage.fake.end("succeeded", "errored", "canceled")
    done = batches.retrieve(batch.id)
    assert done.processing_status == "ended"
    assert str(done.results_url).startswith(f"{stage.hub.server.url}/v1/messages/batches/msgbatch_")
    kinds = {result.custom_id: result.result.type for result in batches.results(batch.id)}
    assert list(kinds.values()) == ["succeeded", "errored", "canceled", "succeeded"]
    (record,) = wait_for(lambda: stage.records()[before:])
    assert (record["model"], record["status"]) == (CLAUDE, "ok")
    assert (record["prompt_tokens"], record["completion_tokens"]) == (200, 40)
    # 1, 0.10 (cached) and 5 USD per million, for a batch half of that.
    assert Decimal(str(record["cost"])) == Decimal("0.000191")
    for _again in range(3):
        batches.retrieve(batch.id)
    deleted = wait_for(lambda: removed(batches, batch.id))
    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
    assert identity not in stage.fake.messages
    assert len(stage.records()) == before + 1
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)


def removed(batches: Any, identity: str) -> Any:
    try:
        return batches.delete(identity)
    except anthropic.ConflictError:
        return None


def test_nobody_else_gets_to_a_batch(stage: Stage, clients: list[anthropic.Anthropic]) -> None:
    batch = clients[0].messages.batches.create(requests=asking(CLAUDE))
    narrow = client_of(stage, stage.narrow(allowed_models=[f"openai/{MODEL}"]))
    for client in (clients[1], narrow):
        batches = client.messages.batches
        assert not list(batches.list())
        asks: tuple[Callable[[str], Any], ...] = (batches.retrieve, batches.cancel, batches.delete)
        for ask in asks:
            with pytest.raises(anthropic.NotFoundError):
                ask(batch.id)
        with pytest.raises(anthropic.NotFoundError):
            client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)
        with pytest.raises(anthropic.NotFoundError):
            batches.list(after_id=batch.id)
    own = list(stage.fake.messages)[-1]
    for changed in (own, batch.id[:-1], batch.id.replace("msgbatch_", "batch_")):
        with pytest.raises(anthropic.NotFoundError):
            clients[0].messages.batches.retrieve(changed)
    stranger = client_of(stage, stage.client("mk_live_nobody"))
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.batches.list()
    for other in (batch.id, batch.id.removeprefix("msg")):
        with pytest.raises(openai.NotFoundError):
            stage.acme.batches.retrieve(other)
    assert all(row.endpoint != "/v1/messages" for row in stage.acme.batches.list())


def test_lists_have_pages(clients: list[anthropic.Anthropic]) -> None:
    batches = clients[0].messages.batches
    made = [batches.create(requests=asking(CLAUDE)).id for _ in range(3)][::-1]
    listed = [batch.id for batch in batches.list(limit=2)]  # page by page
    assert listed[:3] == made
    assert len(listed) == len(set(listed))
    newer = batches.list(before_id=made[2], limit=1)
    assert [batch.id for batch in newer.data] == [made[1]]
    assert newer.has_more
    with pytest.raises(anthropic.BadRequestError, match="not both"):
        batches.list(before_id=made[2], after_id=made[0])


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([], "requests is empty"),
        (asking(CLAUDE) * 2, "requests.1.custom_id repeats"),
        ([{"params": {}}], "requests.0.custom_id is missing"),
        ([{"custom_id": "a"}], "requests.0.params"),
        (asking(""), "requests.0.params"),
        (asking(CLAUDE, stream=True), "requests.0.params.stream must be omitted"),
        (asking(CLAUDE, messages=[]), "requests.0.params"),
        (asking(CLAUDE, top_k=2**70), "a number that is too large"),
        (asking(CLAUDE, f"openai/{MODEL}"), "must be of one provider"),
        (asking(f"openai/{MODEL}"), "use /v1/files and /v1/batches"),
        (asking("demo/demo-chat"), "These providers have: anthropic"),
    ],
)
def test_a_bad_request_is_named_and_nothing_is_sent(
    clients: list[anthropic.Anthropic], stage: Stage, requests: list[Any], said: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=said):
        clients[0].messages.batches.create(requests=requests)
    assert not stage.fake.calls


def test_a_file_that_names_claude_is_told_where_its_batches_are(
    stage: Stage, clients: list[anthropic.Anthropic]
) -> None:
    with pytest.raises(openai.BadRequestError, match="use /v1/messages/batches"):
        stage.upload(content=jsonl(f"anthropic/{CLAUDE}"))
    assert not stage.fake.calls


def test_a_trial_pays_for_the_requests_that_succeed(
    stage: Stage, clients: list[anthropic.Anthropic]
) -> None:
    made = stage.hub.server.manage(
        "init", "--workspace", "claudes", "--owner", "owner@claudes.example", "--json"
    )
    values = {"api_key": KEY, "base_url": stage.fake.url}
    plan = {"plan": "anthropic", "limit": 9, "models": {CLAUDE: 2}, "values": values}
    stage.hub.server.python("-m", "tests.gateway.seed", "claudes", json.dumps({"plan": plan}))
    batches = client_of(stage, stage.client(json.loads(made)["app_key"])).messages.batches
    for body, said in (
        (asking(*[CLAUDE] * 5), "needs 10 credits of the Anthropic trial, and 9 are left"),
        (asking(CLAUDE, messages=[USES_FILE]), "requests.0.params: A trial call cannot use stored"),
    ):
        with pytest.raises(anthropic.APIStatusError, match=said):
            batches.create(requests=body)
    assert not stage.fake.calls
    before = len(stage.records())
    batch = batches.create(requests=asking(*[CLAUDE] * 4))
    assert pool(stage) == (0, 8)
    for other in clients:
        with pytest.raises(anthropic.NotFoundError):
            other.messages.batches.retrieve(batch.id)
    stage.fake.end("succeeded", "errored", "expired", "succeeded")
    batches.retrieve(batch.id)
    wait_for(lambda: pool(stage) == (4, 0))
    (record,) = stage.records()[before:]
    assert (record["status"], record["prompt_tokens"]) == ("ok", 200)
    wait_for(lambda: removed(batches, batch.id))
    stage.fake.script("status:500")
    with pytest.raises(anthropic.InternalServerError):
        batches.create(requests=asking(CLAUDE))
    assert pool(stage) == (4, 0)
    stage.hub.audit()


USES_FILE = {
    "role": "user",
    "content": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}],
}


def pool(stage: Stage) -> tuple[Any, ...]:
    """(used, held) of the workspace's trial of Anthropic."""
    (row,) = stage.hub.rows(
        "SELECT pool.settled, pool.held FROM quotas_creditpool AS pool "
        "JOIN tenants_tenant AS owner ON owner.id = pool.tenant_id "
        "JOIN quotas_trialplan AS plan ON plan.id = pool.plan_id "
        "WHERE owner.slug = 'claudes' AND plan.slug = 'anthropic'"
    )
    return tuple(row)
