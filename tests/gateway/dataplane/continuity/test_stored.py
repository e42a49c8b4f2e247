"""Kept responses open for callers of their workspace that may use the response's model."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from gateway.dataplane.continuity import references, responses, stored
from gateway.dataplane.continuity.stored import StoredResponse
from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests.request import GatewayRequest
from providers.declaration.spec import Operation
from tenants.auth.principal import Principal
from tenants.crypto.keys import Seal
from tests.gateway.dataplane.continuity.forgetful import ACME, GLOBEX

pytestmark = pytest.mark.one_database

ANSWER = {"type": "message", "role": "assistant", "id": "msg_1", "content": "Hello."}
KEPT = StoredResponse(
    {"id": "resp_1", "output": [ANSWER]},
    stored.items_of("Hi", "1"),
    "demo",
    "demo-chat",
    at_provider=False,
    is_partial=False,
)
OWNER = Principal(
    kind="app_key",
    tenant_id=ACME,
    tenant_slug="acme",
    role=None,
    scopes=frozenset(),
    actions=frozenset(),
    user_id=None,
    app_key_id=None,
    app_key_name="",
    label="",
    allowed_providers=frozenset(),
    allowed_models=frozenset(),
    config_version=1,
    kept_hours=6,
)


class Rows:
    """A store that gives everyone the same rows, so that only encryption keeps them apart."""

    def __init__(self, *responses: StoredResponse) -> None:
        self.rows = dict(filter(None, (stored.packed(one, Seal(ACME)) for one in responses)))
        for one in responses:
            self.rows |= references.rows(one.response, Seal(ACME))

    async def kept(self, _tenant_id: Any, key: str) -> str | None:
        return self.rows.get(key)


def found(principal: Principal, key: str = "resp_1", rows: Any = None) -> StoredResponse:
    return asyncio.run(responses.find(principal, key, rows or Rows(KEPT)))


def test_the_workspace_reads_its_responses() -> None:
    assert found(OWNER) == KEPT
    assert found(replace(OWNER, allowed_models=frozenset({"demo/demo-chat"}))) == KEPT
    assert [item["id"] for item in KEPT.items] == ["msg_1_in_0", "msg_1"]


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": GLOBEX},
        {"allowed_models": frozenset({"demo/other"})},
        {"allowed_providers": frozenset({"openai"})},
        {"allowed_operations": frozenset({"embeddings"})},
    ],
)
def test_others_are_told_what_they_are_told_of_unknown_ones(other: dict[str, Any]) -> None:
    for key in ("resp_1", "resp_2", "x" * 999, "\0", "é"):
        with pytest.raises(Refusal) as caught:
            found(replace(OWNER, **other), key)
        told = f"Response with id '{key[: stored.KEY_LENGTH]}' not found."
        assert (caught.value.status, caught.value.message) == (404, told)
    request = GatewayRequest(
        replace(OWNER, **other),
        Operation.CHAT,
        "demo/demo-chat",
        {"input": "And?", "previous_response_id": "resp_1"},
        "2",
    )
    rows: Any = Rows(KEPT)
    asyncio.run(responses.recall(request, rows))
    assert request.previous is None
    assert named(replace(OWNER, **other)).referred == {}


def named(principal: Principal, *rows: StoredResponse) -> GatewayRequest:
    """A request that names an item with an id of a provider, and one with an id made here."""
    items = [{"type": "item_reference", "id": name} for name in ("msg_1", "msg_1_in_0", "msg_2")]
    body = {"input": items}
    request = GatewayRequest(principal, Operation.CHAT, "demo/demo-chat", body, "2")
    store: Any = Rows(*(rows or (KEPT,)))
    asyncio.run(responses.recall(request, store))
    return request


def test_items_are_found_by_their_ids() -> None:
    request = named(OWNER)
    answer, question, unknown = request.given
    assert (answer, question) == (ANSWER, KEPT.input[0])
    assert unknown == request.body["input"][2]
    assert request.referred_from == [KEPT]
    assert named(replace(OWNER, kept_hours=0)).referred == {}


def test_only_so_many_items_are_looked_up() -> None:
    items = [{"type": "item_reference", "id": f"msg_{n}_0"} for n in range(references.MOST + 9)]
    carried = {"type": "item_reference", "id": "msg_mk1_abc"}
    assert len(references.named({"input": [carried, *items, *items]})) == references.MOST
    assert references.named({"input": [carried]}) == references.named({"input": "Hi"}) == []


def test_a_row_opens_under_its_own_key_only() -> None:
    rows = Rows(KEPT)
    rows.rows["resp_2"] = rows.rows["resp_1"]
    with pytest.raises(Refusal):
        found(OWNER, "resp_2", rows)


def test_what_is_too_long_is_not_kept() -> None:
    noise = random.Random(1).randbytes(700_000).hex()
    for response in (
        {"id": "resp_1", "output": noise * 2},
        {"id": "resp_1", "output": "x" * stored.MOST_DATA},
        {"id": "x" * 161},
        {"id": "resp_\0"},
        {},
    ):
        assert stored.packed(replace(KEPT, response=response), Seal(ACME)) is None


def test_ids_that_carry_items_are_not_kept_twice() -> None:
    carrier = {"type": "reasoning", "id": "rs_mk1_abc", "summary": []}
    response = {"id": "resp_1", "output": [ANSWER | {"id": "msg_mk1_abc"}, carrier]}
    items = replace(KEPT, response=response).items
    assert items[1:] == [ANSWER | {"id": "msg_1_0"}]


def test_the_response_is_found_in_any_answer() -> None:
    assert stored.response_in(b'{"id": "resp_1"}') == {"id": "resp_1"}
    event = b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}'
    assert stored.response_in(b"data: {}\n\n" + event + b"\n\n") == {"id": "r"}
    assert stored.response_in(b"data: [DONE]\n\n") is None
