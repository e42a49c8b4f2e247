"""What a workspace keeps for later calls, once it is switched on: responses, and long reasoning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import openai
import orjson
import pytest
import requests

from tests.gateway.conftest import Hub
from tests.gateway.dataplane.continuity.test_ids import signature
from tests.gateway.dataplane.continuity.test_server import QUESTION, asked, call, says, thought
from tests.gateway.dataplane.test_errors import refused

pytestmark = pytest.mark.slow

CLAUDE, GPT, DEMO = "anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", "demo/demo-chat"
SERVER = "openai_compatible"


def switch(hub: Hub, key: str, hours: int) -> None:
    answer = requests.patch(
        hub.server.url + "/api/v1/workspace/",
        json={"kept_hours": hours},
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
    )
    assert (answer.status_code, answer.json().get("kept_hours")) == (200, hours), answer.text


@pytest.fixture(scope="module")
def globex_key(shared_hub: Hub) -> str:
    made = shared_hub.server.manage(
        "init", "--workspace", "globex-kept", "--owner", "kept@globex.example", "--json"
    )
    return str(json.loads(made)["app_key"])


@pytest.fixture
def keeping(hub: Hub) -> Iterator[Hub]:
    switch(hub, hub.server.app_key, 6)
    with hub.compared():
        yield hub
    switch(hub, hub.server.app_key, 0)
    assert hub.rows("SELECT id FROM tenants_keptitem") == []


def get(hub: Hub, path: str, key: str = "", method: str = "GET") -> requests.Response:
    headers = {"Authorization": f"Bearer {key or hub.server.app_key}"}
    return hub.session.request(method, f"{hub.base}/responses/{path}", headers=headers, timeout=30)


def stored_by(hub: Hub, identity: str, model: str = GPT, **more: Any) -> dict[str, Any]:
    """Let OpenAI answer with a response that it stores."""
    content = [{"type": "output_text", "text": "Hello"}]
    output = [{"type": "message", "id": f"msg_{identity}", "role": "assistant", "content": content}]
    head = {"id": identity, "object": "response", "created_at": 1790000000, "status": "completed"}
    whole: dict[str, Any] = {**head, "model": "gpt-4o-mini", "output": output}
    hub.fake.mode = "body:200:" + orjson.dumps(whole).decode()
    answer = hub.post("/responses", {"model": model, "input": "Hi", **more})
    assert answer.json() == whole
    return whole


def turns(hub: Hub) -> list[tuple[str, Any]]:
    """What Anthropic was asked."""
    messages = orjson.loads(hub.fake.calls[-1].body)["messages"]
    return [(turn["role"], [block.get("text") for block in turn["content"]]) for turn in messages]


def test_a_conversation_goes_on_from_a_response(keeping: Hub) -> None:
    responses = keeping.sdk().responses
    says(keeping, {"type": "text", "text": "Hello."})
    first = responses.create(model=CLAUDE, input="Hi", instructions="Be brief.")
    assert (first.store, first.previous_response_id) == (True, None)
    says(keeping, {"type": "text", "text": "Fine."})
    with responses.stream(model=CLAUDE, input="How?", previous_response_id=first.id) as stream:
        second = stream.get_final_response()
    assert second.previous_response_id == first.id
    says(keeping, {"type": "text", "text": "Bye."})
    third = responses.create(model=CLAUDE, input="Bye", previous_response_id=second.id)
    assert turns(keeping) == [
        ("user", ["Hi"]),
        ("assistant", ["Hello."]),
        ("user", ["How?"]),
        ("assistant", ["Fine."]),
        ("user", ["Bye"]),
    ]
    assert "system" not in orjson.loads(keeping.fake.calls[-1].body)
    assert responses.retrieve(third.id).output_text == "Bye."
    items = responses.input_items.list(third.id, limit=2)
    assert [item.role for item in items.data] == ["user", "assistant"]  # type: ignore[union-attr]
    assert items.has_more
    assert len(list(responses.input_items.list(third.id, order="asc", limit=2))) == 5


def test_responses_belong_to_one_workspace(keeping: Hub, globex_key: str) -> None:
    made = keeping.post("/responses", {"model": DEMO, "input": "Hi"}).json()
    identity = made["id"]
    assert get(keeping, identity).json() == made
    switch(keeping, globex_key, 6)
    for method in ("GET", "DELETE"):
        strange = refused(get(keeping, identity, globex_key, method), 404, "not_found")
        unknown = refused(get(keeping, "resp_0", globex_key, method), 404, "not_found")
        strange.pop("request_id")
        unknown.pop("request_id")
        assert strange == json.loads(json.dumps(unknown).replace("resp_0", identity))
    switch(keeping, globex_key, 0)
    narrow = keeping.app_key(scopes="read")
    refused(get(keeping, identity, narrow), 403, "key_scope")
    assert get(keeping, identity, method="DELETE").json() == {
        "id": identity,
        "object": "response",
        "deleted": True,
    }
    for method in ("GET", "DELETE"):
        refused(get(keeping, identity, method=method), 404, "not_found")


def test_a_provider_that_stores_responses_is_asked_by_id(keeping: Hub) -> None:
    whole = stored_by(keeping, "resp_1")
    assert get(keeping, "resp_1").json() == whole
    body = {"model": GPT, "input": "And?", "previous_response_id": "resp_1"}
    keeping.post("/responses", body)
    assert orjson.loads(keeping.fake.calls[-1].body) == body | {"model": "gpt-4o-mini"}
    says(keeping, {"type": "text", "text": "Fine."})
    keeping.post("/responses", body | {"model": CLAUDE})
    assert [role for role, _texts in turns(keeping)] == ["user", "assistant", "user"]


@pytest.mark.parametrize("mode", ['body:200:{"deleted":true}', "status:404", "status:405"])
def test_a_response_is_deleted_at_its_provider_too(
    keeping: Hub, globex_key: str, mode: str
) -> None:
    stored_by(keeping, "resp_a?b")
    keeping.fake.mode = mode
    switch(keeping, globex_key, 6)
    refused(get(keeping, "resp_a%3Fb", globex_key, "DELETE"), 404, "not_found")
    switch(keeping, globex_key, 0)
    assert keeping.fake.calls[-1].method == "POST"
    answer = get(keeping, "resp_a%3Fb", method="DELETE")
    assert answer.json() == {"id": "resp_a?b", "object": "response", "deleted": True}
    assert "x-modelkeep-left-at" not in answer.headers
    asked = keeping.fake.calls[-1]
    assert (asked.method, asked.path) == ("DELETE", "/v1/responses/resp_a%3Fb")
    assert asked.headers["authorization"] == keeping.fake.calls[-2].headers["authorization"]
    refused(get(keeping, "resp_a%3Fb"), 404, "not_found")


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("status:401", 502, "provider_auth_failed"), ("close", 502, "provider_error")],
)
def test_what_a_provider_does_not_delete_is_kept_here(
    keeping: Hub, mode: str, status: int, code: str
) -> None:
    whole = stored_by(keeping, "resp_refused")
    keeping.fake.mode = mode
    error = refused(get(keeping, "resp_refused", method="DELETE"), status, code)
    assert error["message"].startswith("The response was deleted neither at OpenAI nor here. ")
    assert get(keeping, "resp_refused").json() == whole


def test_a_response_whose_key_is_gone_is_left_at_its_provider(keeping: Hub) -> None:
    credential = {"provider": SERVER, "name": "Brief", "values": {}}
    keeping.seed(
        credentials=[{**credential, "base_url": f"{keeping.fake.url}/native/v1"}],
        models=[{"provider": SERVER, "model": "brief", "type": "reasoning"}],
    )
    made = keeping.post("/responses", {"model": f"{SERVER}/brief", "input": "Hi"}).json()
    called = (Path(keeping.fake.calls[-1].path).parts[1], len(keeping.fake.calls))
    [(row,)] = keeping.rows("SELECT id FROM providers_providercredential WHERE name = 'Brief'")
    manage(keeping, f"providers/{SERVER}/credentials/{UUID(str(row))}/")
    answer = get(keeping, made["id"], method="DELETE")
    manage(keeping, f"models/{SERVER}/brief/")
    assert answer.json()["deleted"] is True
    assert answer.headers["x-modelkeep-left-at"] == SERVER
    assert (called, len(keeping.fake.calls)) == (("native", called[1]), called[1])
    refused(get(keeping, made["id"]), 404, "not_found")


def manage(hub: Hub, path: str) -> None:
    """Remove something in the settings."""
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}
    answer = requests.delete(f"{hub.server.url}/api/v1/{path}", headers=headers, timeout=30)
    assert answer.status_code == 204, answer.text


def test_items_are_found_by_the_ids_that_their_provider_made(keeping: Hub) -> None:
    stored_by(keeping, "known")
    reference = {"type": "item_reference", "id": "msg_known"}
    body = {"model": GPT, "input": [reference, {"role": "user", "content": "And?"}]}
    keeping.post("/responses", body)
    assert orjson.loads(keeping.fake.calls[-1].body) == body | {"model": "gpt-4o-mini"}
    says(keeping, {"type": "text", "text": "Fine."})
    made = keeping.post("/responses", body | {"model": CLAUDE}).json()
    question = {"role": "user", "content": "Hi"}
    keeping.post("/responses", body | {"model": CLAUDE, "input": [question, *body["input"]]})
    assert turns(keeping) == [("user", ["Hi"]), ("assistant", ["Hello"]), ("user", ["And?"])]
    goes_on = {"model": CLAUDE, "input": "Why?", "previous_response_id": made["id"]}
    keeping.post("/responses", goes_on)
    assert ("assistant", ["Hello"]) in turns(keeping)


def test_an_unknown_response_is_not_answered_with_advice_to_keep(keeping: Hub) -> None:
    for body, param in (
        ({"input": "And?", "previous_response_id": "resp_0"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_0"}]}, "input[0].id"),
    ):
        error = refused(keeping.post("/responses", body | {"model": DEMO}), 400, "invalid_request")
        assert error["param"] == param
        assert "not found" in error["message"]
        assert "may have expired" in error["message"]
        assert "Settings" not in error["message"]


def test_what_only_the_provider_knows_is_told(keeping: Hub) -> None:
    stored_by(keeping, "resp_half", previous_response_id="resp_elsewhere")
    asked = {"model": DEMO, "input": "And?", "previous_response_id": "resp_half"}
    error = refused(keeping.post("/responses", asked), 400, "invalid_request")
    assert "only by the provider" in error["message"]


def test_what_is_not_kept_is_told(hub: Hub) -> None:
    client = hub.sdk()
    made = client.responses.create(model=DEMO, input="Hi")
    assert made.store is False
    for method in ("GET", "DELETE"):
        error = refused(get(hub, made.id, method=method), 400, "invalid_request")
        assert "store: false" in error["message"]
    with pytest.raises(openai.BadRequestError, match="Settings > Workspace"):
        client.responses.create(model=DEMO, input="And?", previous_response_id=made.id)
    assert get(hub, f"{made.id}/cancel", method="GET").status_code == 404
    assert get(hub, made.id, method="POST").status_code == 405


def test_store_false_and_expiry(keeping: Hub) -> None:
    client = keeping.sdk()
    unkept = client.responses.create(model=DEMO, input="Hi", store=False)
    assert unkept.store is False
    refused(get(keeping, unkept.id), 404, "not_found")
    kept = client.responses.create(model=DEMO, input="A secret question")
    [(sealed,)] = keeping.rows("SELECT sealed FROM tenants_keptitem")
    assert "secret" not in sealed
    keeping.execute("UPDATE tenants_keptitem SET expires = '2020-01-01 00:00:00'")
    refused(get(keeping, kept.id), 404, "not_found")


def test_long_reasoning_comes_back_by_ids_that_are_cut(keeping: Hub) -> None:
    signed = thought(1) | {"signature": signature(4000)}
    says(keeping, signed, call(1))
    kept, _headers = asked(keeping, [QUESTION], stream=True)
    identity = kept["tool_calls"][0]["id"] = kept["tool_calls"][0]["id"][:40]
    result = {"role": "tool", "tool_call_id": identity, "content": "42"}
    says(keeping, {"type": "text", "text": "Done."})
    for _again in range(2):
        _message, headers = asked(keeping, [QUESTION, kept, result], stream=False)
        assert "x-modelkeep-reasoning" not in headers
    first, second = (orjson.loads(one.body)["messages"] for one in keeping.fake.calls[-2:])
    assert orjson.dumps(second[1]["content"]) == orjson.dumps([signed, call(1)])
    assert first == second
