"""Providers, credentials and sources through the REST API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from providers.declaration import registry
from providers.models import ProviderCredential
from tenants.models import AuditEntry
from tenants.scope import tenant_scope
from tests import factories
from tests.api.conftest import Api, error
from tests.fakes.provider import FakeProvider

SLUGS = [
    "openai",
    "azure_openai",
    "anthropic",
    "huggingface_hub",
    "replicate",
    "spark",
    "wenxin",
    "tongyi",
    "minimax",
    "chatglm",
    "openai_compatible",
    "demo",
]


def credential_body(fake: FakeProvider, **more: Any) -> dict[str, Any]:
    return {
        "name": "Main",
        "values": {"api_key": factories.marked_secret(), "base_url": fake.url + "/v1"},
        **more,
    }


@pytest.fixture
def stored(api: Api, fake_provider: FakeProvider) -> dict[str, Any]:
    response = api.post("/providers/openai/credentials/", credential_body(fake_provider))
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


def test_the_list_shows_every_provider_with_its_forms(api: Api) -> None:
    body = api.get("/providers/").json()
    assert body["next"] is None
    found = {row["slug"]: row for row in body["results"]}
    assert list(found) == [provider.slug for provider in registry.offered()]
    openai = found["openai"]
    assert openai["kind"] == "own"
    assert openai["state"] in ("not_set_up", "trial")
    assert "reasoning" in openai["model_types"]
    fields = {field["name"]: field for field in openai["credential_fields"]}
    assert fields["api_key"]["secret"] is True
    assert fields["api_key"]["required"] is True
    assert fields["base_url"]["required"] is False
    assert fields["api_key"]["help_url"].startswith("https://")
    assert set(SLUGS) <= set(found)  # the contract's; there may be more


def test_one_provider(api: Api) -> None:
    assert api.get("/providers/openai/").json()["slug"] == "openai"
    error(api.get("/providers/nobody/"), 404, "unknown_provider")
    error(api.post("/providers/nobody/credentials/", {"values": {}}), 404, "unknown_provider")


def test_a_credential_is_checked_stored_and_masked(api: Api, fake_provider: FakeProvider) -> None:
    body = credential_body(fake_provider)
    response = api.post("/providers/openai/credentials/", body)
    assert response.status_code == 201, response.content
    found = response.json()
    assert found["state"] == "connected"
    assert found["since"]
    assert found["is_active"] is True
    assert found["masked"].endswith(body["values"]["api_key"][-4:])
    assert body["values"]["api_key"] not in response.content.decode()
    assert fake_provider.calls[0].headers["authorization"] == f"Bearer {body['values']['api_key']}"
    shown = api.get(f"/providers/openai/credentials/{found['id']}/")
    assert shown.json() == found
    assert body["values"]["api_key"] not in api.get("/providers/").content.decode()
    assert api.get("/providers/openai/").json()["active_credential"]["id"] == found["id"]


def test_a_refused_key_is_422_and_says_what_was_sent(
    api: Api, acme: factories.Workspace, fake_provider: FakeProvider
) -> None:
    fake_provider.mode = "status:401:invalid_api_key"
    body = credential_body(fake_provider)
    response = api.post("/providers/openai/credentials/", body)
    found = error(response, 422, "provider_auth_failed")
    assert found["what_we_sent"] == {
        "method": "GET",
        "host": f"127.0.0.1:{fake_provider.port}",
        "path": "/v1/models",
    }
    assert body["values"]["api_key"] not in response.content.decode()
    with tenant_scope(acme.tenant):
        assert not ProviderCredential.objects.exists()


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"values": {}}, "invalid_value", "api_key"),
        ({"values": {"api_key": "with blank"}}, "invalid_value", "api_key"),
        ({"values": {"api_key": "k" * 40, "colour": "red"}}, "unknown_field", "colour"),
        (
            {"values": {"api_key": "k" * 40, "base_url": "http://10.0.0.1/"}},
            "invalid_value",
            "base_url",
        ),
        ({"values": {"api_key": 5}}, "invalid_request", "values.api_key"),
        ({"values": "x"}, "invalid_request", "values"),
        ({"values": {"api_key": "k" * 40}, "name": ""}, "invalid_request", "name"),
        ({"values": {"api_key": "k" * 40}, "check": "no"}, "invalid_request", "check"),
        ({"values": {"api_key": "k" * 40}, "check": False}, "check_required", None),
        ({"values": {"api_key": "k" * 40}, "is_active": True}, "invalid_request", "is_active"),
    ],
)
def test_values_that_are_refused(
    api: Api, change: dict[str, Any], code: str, param: str | None
) -> None:
    found = error(api.post("/providers/openai/credentials/", {"name": "Main"} | change), 400, code)
    assert found["param"] == param


def test_a_name_that_is_taken(
    api: Api, stored: dict[str, Any], fake_provider: FakeProvider
) -> None:
    error(
        api.post("/providers/openai/credentials/", credential_body(fake_provider)),
        409,
        "name_taken",
    )


def test_rename_and_replace(api: Api, stored: dict[str, Any], fake_provider: FakeProvider) -> None:
    path = f"/providers/openai/credentials/{stored['id']}/"
    assert api.patch(path, {"name": "Renamed"}).json()["name"] == "Renamed"
    key = factories.marked_secret()
    found = api.patch(path, {"values": {"api_key": key}}).json()
    assert found["masked"].endswith(key[-4:])
    assert found["name"] == "Renamed"
    fake_provider.mode = "status:401:invalid_api_key"
    error(
        api.patch(path, {"values": {"api_key": factories.marked_secret()}}),
        422,
        "provider_auth_failed",
    )
    assert api.get(path).json()["masked"] == found["masked"]


def test_a_name_that_is_taken_leaves_the_keys_as_they_were(
    api: Api, stored: dict[str, Any], fake_provider: FakeProvider
) -> None:
    assert (
        api.post(
            "/providers/openai/credentials/", credential_body(fake_provider, name="Other")
        ).status_code
        == 201
    )
    path = f"/providers/openai/credentials/{stored['id']}/"
    before = api.get(path).json()
    error(
        api.patch(path, {"values": {"api_key": factories.marked_secret()}, "name": "Other"}),
        409,
        "name_taken",
    )
    assert api.get(path).json() == before
    both = api.patch(
        path, {"values": {"api_key": factories.marked_secret(prefix="sk-other")}, "name": "Renamed"}
    ).json()
    assert both["name"] == "Renamed"
    assert both["masked"] != before["masked"]


def test_a_stored_key_never_goes_to_a_new_address(
    api: Api, stored: dict[str, Any], fake_provider: FakeProvider
) -> None:
    before = len(fake_provider.calls)
    found = error(
        api.patch(
            f"/providers/openai/credentials/{stored['id']}/",
            {"values": {"base_url": "https://elsewhere.example"}},
        ),
        400,
        "key_required",
    )
    assert found["param"] == "api_key"
    assert len(fake_provider.calls) == before


def test_check_answers_with_the_state(
    api: Api, stored: dict[str, Any], fake_provider: FakeProvider
) -> None:
    path = f"/providers/openai/credentials/{stored['id']}/check/"
    assert api.post(path).json()["state"] == "connected"
    fake_provider.mode = "status:401:invalid_api_key"
    found = api.post(path).json()
    assert found["state"] == "rejected"
    assert found["message"]
    error(api.post(path, {"force": True}), 400, "invalid_request")


def test_activate_order_and_delete(
    api: Api, stored: dict[str, Any], fake_provider: FakeProvider
) -> None:
    second = api.post(
        "/providers/openai/credentials/", credential_body(fake_provider, name="Second")
    ).json()
    assert second["is_active"] is False
    assert (
        api.post(f"/providers/openai/credentials/{second['id']}/activate/").json()["is_active"]
        is True
    )
    names = [row["name"] for row in api.get("/providers/openai/credentials/").json()["results"]]
    assert names == ["Second", "Main"]
    order = {"order": [stored["id"], second["id"]]}
    for _time in range(2):
        assert api.put("/providers/openai/credential-order/", order).json() == order
    assert api.get("/providers/openai/").json()["active_credential"]["name"] == "Main"
    error(
        api.put("/providers/openai/credential-order/", {"order": [stored["id"]]}),
        400,
        "invalid_order",
    )
    assert api.delete(f"/providers/openai/credentials/{stored['id']}/").status_code == 204
    error(api.delete(f"/providers/openai/credentials/{stored['id']}/"), 404, "no_such_credential")
    assert api.get("/providers/openai/").json()["active_credential"]["name"] == "Second"


def test_the_order_of_sources_is_put_idempotently(api: Api) -> None:
    path = "/providers/openai/source-order/"
    assert api.get(path).json() == {"order": ["credential", "trial"]}
    for _time in range(2):
        assert api.put(path, {"order": ["trial", "credential"]}).json() == {
            "order": ["trial", "credential"]
        }
    assert api.get("/providers/openai/").json()["order"] == ["trial", "credential"]
    for wrong in (["trial"], ["trial", "trial"], ["x", "trial"], "trial"):
        error(api.put(path, {"order": wrong}), 400, "invalid_request")


def test_another_workspaces_credential_is_not_there(other: Api, stored: dict[str, Any]) -> None:
    path = f"/providers/openai/credentials/{stored['id']}/"
    for response in (
        other.get(path),
        other.patch(path, {"name": "Mine"}),
        other.post(path + "check/"),
        other.delete(path),
    ):
        error(response, 404, "no_such_credential")
    error(other.get(f"/providers/openai/credentials/{uuid.uuid4()}/"), 404, "no_such_credential")
    assert other.get("/providers/openai/credentials/").json()["results"] == []


def test_changes_are_in_the_audit_trail_with_the_key_as_actor(
    api: Api, acme: factories.Workspace, stored: dict[str, Any]
) -> None:
    with tenant_scope(acme.tenant):
        entry = AuditEntry.objects.get(action="credential.added")
    assert entry.actor == "app key Everything"


def test_queries_do_not_grow_with_credentials(api: Api, acme: factories.Workspace) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for name in ("A", "B", "C"):
        factories.make_credential(acme.tenant, name=name, is_active=name == "A")
        api.get("/providers/")
        found = []
        for path in ("/providers/", "/providers/openai/credentials/"):
            with CaptureQueriesContext(connection) as captured:
                assert api.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[0] == counts[2]
