"""The catalog and the default models through the REST API."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.api.conftest import Api, error
from tests.fakes.provider import FakeProvider


@pytest.fixture
def hosted(api: Api, fake_provider: FakeProvider) -> dict[str, Any]:
    """A model of a server of the workspace's own, with a slash in its name."""
    url = fake_provider.url + "/v1"
    response = api.post(
        "/providers/openai_compatible/credentials/", {"name": "Lab", "values": {"base_url": url}}
    )
    assert response.status_code == 201, response.content
    response = api.post(
        "/providers/openai_compatible/models/", {"model": "owner/llama@ok", "type": "reasoning"}
    )
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


PATH = "/models/openai_compatible/owner/llama@ok/"


def test_a_model_is_added_once(api: Api, hosted: dict[str, Any]) -> None:
    assert hosted["id"] == "openai_compatible/owner/llama@ok"
    assert hosted["added"] is True
    assert hosted["context_window"] is None
    assert hosted["price"] is None
    assert api.get(PATH).json() == hosted
    body = {"model": "owner/llama@ok", "type": "reasoning"}
    error(api.post("/providers/openai_compatible/models/", body), 409, "model_exists")


def test_a_model_that_its_server_refuses(api: Api, hosted: dict[str, Any]) -> None:
    response = api.post(
        "/providers/openai_compatible/models/", {"model": "lost@status:404", "type": "reasoning"}
    )
    found = error(response, 422, "model_not_found")
    assert found["what_we_sent"]["path"] == "/v1/chat/completions"
    assert api.get("/models/?provider=openai_compatible").json()["results"] == [hosted]


def test_switch_override_and_take_back(api: Api, hosted: dict[str, Any]) -> None:
    changed = api.patch(
        PATH,
        {
            "enabled": False,
            "context_window": 8192,
            "price": {"currency": "EUR", "input": "0.25", "output": "1"},
        },
    ).json()
    assert changed["enabled"] is False
    assert changed["context_window"] == 8192
    assert changed["price"].pop("since")
    assert changed["price"] == {"currency": "EUR", "input": "0.25", "output": "1"}
    changed = api.patch(PATH, {"price": {"currency": "EUR", "input": "1e2"}}).json()
    assert changed["price"].pop("since")
    assert changed["price"] == {"currency": "EUR", "input": "100"}
    assert (
        api.patch(PATH, {"enabled": True, "context_window": None}).json()["context_window"] is None
    )
    assert api.get("/models/?enabled=false&provider=openai_compatible").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"context_window": 0}, "context_window"),
        ({"context_window": "8192"}, "context_window"),
        ({"context_window": True}, "context_window"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": None}, "enabled"),
        ({"type": "poetry"}, "type"),
        ({"price": {"currency": "EUR"}}, "price"),
        ({"price": {"currency": "EUR", "input": "-1"}}, "price"),
        ({"price": {"input": 1}}, "price"),
        ({"retired": "soon"}, "retired"),
        ({"origin": "shipped"}, "origin"),
        ({"tenant": "x"}, "tenant"),
    ],
)
def test_facts_that_cannot_be(
    api: Api, hosted: dict[str, Any], body: dict[str, Any], param: str
) -> None:
    response = api.patch(PATH, body)
    assert response.status_code == 400, response.content
    assert response.json()["error"]["param"] == param
    assert api.get(PATH).json() == hosted


def test_delete_and_add_again(api: Api, hosted: dict[str, Any]) -> None:
    assert api.delete(PATH).status_code == 204
    error(api.get(PATH), 404, "model_not_found")
    error(api.delete(PATH), 404, "model_not_found")
    body = {"model": "owner/llama@ok", "type": "reasoning"}
    assert api.post("/providers/openai_compatible/models/", body).status_code == 201


def test_the_list_is_filtered_and_paged(api: Api, acme: factories.Workspace) -> None:
    factories.make_credential(acme.tenant)
    every = api.get("/models/").json()["results"]
    assert len(every) > 10
    assert [row["id"] for row in every] == sorted(row["id"] for row in every)
    embedding = api.get("/models/?type=embedding&enabled=true").json()["results"]
    assert embedding
    assert {row["type"] for row in embedding} == {"embedding"}
    first = api.get("/models/?limit=4").json()
    second = api.get(f"/models/?limit=4&after={first['next']}").json()
    assert first["results"] + second["results"] == every[:8]
    assert [row["id"] for row in api.get("/models/?search=3-small").json()["results"]] == [
        "openai/text-embedding-3-small"
    ]
    for wrong in ("type=poetry", "enabled=1", "limit=x"):
        error(api.get(f"/models/?{wrong}"), 400, "invalid_request")


def test_a_shipped_model_is_switched_but_not_deleted(api: Api, acme: factories.Workspace) -> None:
    factories.make_credential(acme.tenant)
    path = "/models/openai/text-embedding-3-small/"
    assert api.get(path).json()["origin"] == "shipped"
    assert api.patch(path, {"enabled": False}).json()["enabled"] is False
    response = api.delete(path)
    assert response.status_code == 409
    assert response.json()["error"]["code"]


def test_refresh(api: Api, fake_provider: FakeProvider) -> None:
    error(api.post("/providers/openai/refresh/"), 409, "no_credential")
    values = {"api_key": factories.marked_secret(), "base_url": fake_provider.url + "/v1"}
    assert api.post("/providers/openai/credentials/", {"values": values}).status_code == 201
    found = api.post("/providers/openai/refresh/").json()
    assert found["provider"] == "openai"
    assert found["error"] == ""
    assert found["fetched"]
    assert found["models"] > 0
    fake_provider.mode = "status:503"
    assert api.post("/providers/openai/refresh/").json()["error"]


def test_default_models(api: Api, hosted: dict[str, Any]) -> None:
    listed = api.get("/default-models/").json()["results"]
    assert [row["scenario"] for row in listed] == [
        "reasoning",
        "embedding",
        "speech-to-text",
        "rerank",
        "text-to-speech",
        "moderation",
        "image",
    ]
    assert {row["model"] for row in listed} == {None}
    path = "/default-models/reasoning/"
    for _time in range(2):
        found = api.put(path, {"model": hosted["id"], "fallbacks": []}).json()
        assert found["model"] == hosted["id"]
        assert found["usable"] is True
    assert api.get(path).json() == found
    for _time in range(2):
        assert api.delete(path).status_code == 204
    assert api.get(path).json()["model"] is None
    error(api.get("/default-models/poetry/"), 404, "unknown_scenario")


@pytest.mark.parametrize(
    ("scenario", "body", "param"),
    [
        ("embedding", {"model": "openai_compatible/owner/llama@ok"}, "model"),
        ("reasoning", {"model": "openai_compatible/none"}, "model"),
        (
            "reasoning",
            {
                "model": "openai_compatible/owner/llama@ok",
                "fallbacks": ["openai_compatible/owner/llama@ok"],
            },
            "fallbacks",
        ),
        ("reasoning", {}, "model"),
        ("reasoning", {"model": None}, "model"),
        ("reasoning", {"model": "openai_compatible/owner/llama@ok", "fallbacks": "x"}, "fallbacks"),
    ],
)
def test_defaults_that_do_not_fit(
    api: Api, hosted: dict[str, Any], scenario: str, body: dict[str, Any], param: str
) -> None:
    response = api.put(f"/default-models/{scenario}/", body)
    assert response.status_code in (400, 404), response.content
    assert response.json()["error"]["param"] == param
    assert api.get(f"/default-models/{scenario}/").json()["model"] is None


def test_another_workspace_has_its_own_catalog(
    other: Api, api: Api, hosted: dict[str, Any]
) -> None:
    error(other.get(PATH), 404, "model_not_found")
    error(other.patch(PATH, {"enabled": False}), 404, "model_not_found")
    error(other.delete(PATH), 404, "model_not_found")
    assert other.put("/default-models/reasoning/", {"model": hosted["id"]}).status_code in (
        400,
        404,
    )
    assert api.get(PATH).json() == hosted


def test_queries_do_not_grow_with_models(api: Api, acme: factories.Workspace) -> None:
    from models_catalog.models import TenantModel
    from tenants.scope import tenant_scope

    factories.make_credential(acme.tenant)
    counts = []
    for number in range(3):
        with tenant_scope(acme.tenant):
            TenantModel.objects.create(
                tenant=acme.tenant,
                provider="openai",
                model=f"own-{number}",
                type="reasoning",
                origin="added",
            )
        api.get("/models/")
        found = []
        for path in ("/models/", "/default-models/", "/providers/"):
            with CaptureQueriesContext(connection) as captured:
                assert api.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[0] == counts[2]
