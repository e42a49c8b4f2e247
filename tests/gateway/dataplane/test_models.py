"""What the list of models promises can be called, and nothing else is promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import openai
import orjson
import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.dataplane.doors.model_lists import AnthropicModels
from gateway.dataplane.doors.openai_models import OpenAIModels
from gateway.dataplane.errors import Refusal
from gateway.dataplane.routing.routes import _load_entries
from models_catalog.models import TenantModel
from models_catalog.resolution.entries import Entry, Price, Rates
from providers.declaration.spec import ModelType
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_credential
from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, running_hub

pytestmark = pytest.mark.slow  # a server runs

TRIAL = ["gpt-3.5-turbo", "gpt-3.5-turbo-16k"]
ADDRESSED = "openai_compatible/llama"  # has an address of its own, and no key anywhere
STRANDED = "openai_compatible/stranded"  # was added with a credential that is gone


@pytest.fixture(scope="module")
def tried() -> Iterator[Hub]:
    """A workspace that lives on a trial at OpenAI and a server without a key."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            hub.seed(
                plan={
                    "plan": "openai",
                    "limit": 1000,
                    "models": dict.fromkeys(TRIAL, 1),
                    "values": {"api_key": KEY, "base_url": fake.url},
                },
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": "llama",
                        "type": "reasoning",
                        "base_url": f"{fake.url}/v1",
                    },
                    {"provider": "openai_compatible", "model": "stranded", "type": "reasoning"},
                ],
            )
            yield hub


def get(hub: Hub, name: str = "") -> requests.Response:
    path = f"/models/{name}" if name else "/models"
    return hub.session.get(
        hub.base + path, headers={"Authorization": f"Bearer {hub.server.app_key}"}, timeout=10
    )


def test_the_list_holds_what_can_be_called(tried: Hub) -> None:
    # Also what is retired, as the trial's older model is.
    listed = tried.sdk().models.list(extra_query={"include": "retired"})
    ids = [model.id for model in listed]
    assert sorted(ids) == sorted([ADDRESSED, *(f"openai/{model}" for model in TRIAL)])
    for name in ids:
        assert tried.chat(name).status_code == 200, name
    for name, status in (("openai/gpt-4o-mini", 403), (STRANDED, 424)):
        assert tried.chat(name).status_code == status
        assert get(tried, name).status_code == 404


@pytest.mark.parametrize(
    ("operation", "taken"),
    [("chat.completions", True), ("completions", True), ("embeddings", False)],
)
def test_a_key_for_one_endpoint_lists_the_models_it_takes(
    tried: Hub, operation: str, taken: bool
) -> None:
    """Pickers of chat models show all that they get."""
    headers = {"Authorization": f"Bearer {tried.server.app_key}"}
    made = tried.session.post(
        f"{tried.server.url}/api/v1/app-keys/",
        json={"name": operation, "scopes": ["use"], "allowed_operations": [operation]},
        headers=headers,
        timeout=10,
    )
    key = made.json()["key"]
    for headers in ({}, {"anthropic-version": "2023-06-01"}):
        headers |= {"Authorization": f"Bearer {key}"}
        listed = tried.session.get(f"{tried.base}/models", headers=headers, timeout=10).json()
        assert bool(listed["data"]) is taken
    one = tried.session.get(f"{tried.base}/models/{ADDRESSED}", headers=headers, timeout=10)
    assert one.status_code == (200 if taken else 404)


def test_a_bare_name_is_looked_up_among_them(tried: Hub) -> None:
    assert tried.sdk().models.retrieve("gpt-3.5-turbo").id == "openai/gpt-3.5-turbo"
    assert tried.sdk().models.retrieve("llama").id == ADDRESSED
    for name in ("gpt-4o-mini", "stranded", "nothing"):
        with pytest.raises(openai.NotFoundError):
            tried.sdk().models.retrieve(name)


def test_a_name_of_two_providers_says_so_and_a_full_name_is_its_own(tried: Hub) -> None:
    url = f"{tried.fake.url}/v1"
    for model in ("gpt-3.5-turbo-16k", "openai/gpt-3.5-turbo"):
        tried.seed(
            models=[
                {
                    "provider": "openai_compatible",
                    "model": model,
                    "type": "reasoning",
                    "base_url": url,
                }
            ]
        )
    refused = get(tried, "gpt-3.5-turbo-16k")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ambiguous_model")
    assert (
        "openai/gpt-3.5-turbo-16k, openai_compatible/gpt-3.5-turbo-16k"
        in refused.json()["error"]["message"]
    )
    assert get(tried, "openai/gpt-3.5-turbo").json()["id"] == "openai/gpt-3.5-turbo"


def test_the_rest_api_says_of_each_whether_it_can_be_called(tried: Hub) -> None:
    models = tried.sdk().models.list(extra_query={"include": "retired"})
    listed = {model.id for model in models}
    headers = {"Authorization": f"Bearer {tried.server.app_key}"}
    for wanted in ("true", "false"):
        url = f"{tried.server.url}/api/v1/models/?limit=200&callable={wanted}"
        found = tried.session.get(url, headers=headers, timeout=10).json()["results"]
        assert {model["callable"] for model in found} == {wanted == "true"}
        assert ({model["id"] for model in found} == listed) is (wanted == "true")


def test_a_credential_makes_all_of_them_callable(tried: Hub) -> None:
    """Last: it changes the workspace."""
    tried.seed(
        credentials=[
            {
                "provider": "openai",
                "name": "Own",
                "values": {"api_key": KEY},
                "base_url": tried.fake.url,
            }
        ]
    )
    assert get(tried, "gpt-4o-mini").json()["id"] == "openai/gpt-4o-mini"
    assert tried.chat("gpt-4o-mini").status_code == 200


@pytest.mark.one_database
def test_each_is_described() -> None:
    price = Price("USD", Rates(Decimal("2.50"), Decimal(10), Decimal("0.125")))
    entry = Entry(
        provider="openai",
        model="gpt-4o-2024-08-06",
        type=ModelType.REASONING,
        label="GPT-4o",
        enabled=True,
        origin="shipped",
        context_window=128_000,
        max_output=16_384,
        features=frozenset({"vision", "tools"}),
        price=price,
        retired=date(2099, 1, 31),
        since=date(2026, 11, 1),
    )
    assert OpenAIModels().object(entry) == {
        "id": "openai/gpt-4o-2024-08-06",
        "object": "model",
        "created": 1722902400,  # 6 August 2024
        "owned_by": "openai",
        "type": "reasoning",
        "name": "GPT-4o",
        "context_window": 128_000,
        "max_output_tokens": 16_384,
        "features": ["tools", "vision"],
        "pricing": {
            "currency": "USD",
            "input": "0.0000025",
            "output": "0.00001",
            "cached_input": "0.000000125",
        },
        "retires": "2099-01-31",
    }
    odd = replace(entry, model="m-20249999", price=None, type=None, retired=None)
    described = OpenAIModels().object(odd)
    assert described["created"] == 1793491200  # 1 November 2026
    assert (described["type"], described["pricing"], described["retires"]) == (None, None, None)


@pytest.mark.one_database
def test_the_list_is_chosen_from() -> None:
    def entry(provider: str, model: str, kind: ModelType, retired: date | None = None) -> Entry:
        return Entry(provider, model, kind, model, True, "shipped", retired=retired)

    old = entry("openai", "old", ModelType.REASONING, date(2020, 1, 1))
    chat = entry("openai", "chat", ModelType.REASONING, date(2099, 1, 1))
    other = entry("anthropic", "other", ModelType.REASONING)
    vector = entry("openai", "vector", ModelType.EMBEDDING)

    def ids(query: str) -> list[str]:
        page = orjson.loads(OpenAIModels().page([old, chat, other, vector], query))
        assert page["object"] == "list"
        return [model["id"].partition("/")[2] for model in page["data"]]

    assert ids("") == ["chat", "other", "vector"]
    assert ids("include=retired") == ["chat", "other", "vector", "old"]
    assert ids("type=reasoning") == ["chat", "other"]
    assert ids("type=embedding,reasoning&provider=openai") == ["chat", "vector"]
    assert ids("provider=nobody") == []
    with pytest.raises(Refusal) as caught:
        ids("type=chat")
    assert (caught.value.status, caught.value.param) == (400, "type")


def listed(workspace: Workspace) -> tuple[int, list[list[str]]]:
    """The statements that the list takes, and the ids in it in each form."""
    with CaptureQueriesContext(connection) as statements:
        entries = _load_entries(workspace.tenant.pk)
        pages = [
            OpenAIModels().page(entries, "include=retired"),
            AnthropicModels().page(entries, "limit=1000"),
        ]
    ids = [[model["id"] for model in orjson.loads(page)["data"]] for page in pages]
    return len(statements), ids


def fill(workspace: Workspace, *providers: str, models: int) -> None:
    with tenant_scope(workspace.tenant):
        for provider in providers:
            make_credential(workspace.tenant, provider=provider, name=provider)
            for number in range(models):
                TenantModel.objects.create(
                    tenant=workspace.tenant,
                    provider=provider,
                    model=f"{workspace.tenant.slug}-{number}",
                    type="reasoning",
                    origin=TenantModel.Origin.ADDED,
                )


@pytest.mark.django_db
def test_a_list_takes_as_many_statements_for_many_models(
    acme: Workspace, globex: Workspace
) -> None:
    fill(acme, "openai", models=1)
    few, ids = listed(acme)
    assert all("openai/acme-0" in page for page in ids)
    fill(acme, "anthropic", "deepseek", models=12)
    many, ids = listed(acme)
    assert many == few
    assert all("deepseek/acme-11" in page for page in ids)
    # Another workspace sees none of it, and cannot page from it.
    fill(globex, "openai", models=1)
    _few, theirs = listed(globex)
    assert all(theirs)
    assert not any("acme" in model for page in theirs for model in page)
    with pytest.raises(Refusal) as caught:
        AnthropicModels().page(_load_entries(globex.tenant.pk), "after_id=openai/acme-0")
    assert caught.value.param == "after_id"
