"""What is shipped of a hosting provider's models are facts: nothing is in a catalog before it is
added.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from models_catalog import queries
from models_catalog.errors import ModelNotFound
from models_catalog.facts import library
from models_catalog.models import TenantModel
from models_catalog.resolution import lookup
from models_catalog.resolution.entries import Facts, Price
from models_catalog.services import models
from models_catalog.services.imports import store
from providers.declaration import registry
from providers.declaration.spec import Kind, ListedModel, ModelType, Operation
from tenants.audit.trail import COMMAND
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_credential

HOST = "azure_openai"
BASE = "gpt-4o-mini"


@pytest.fixture
def ready(tenant: Tenant) -> Any:
    return make_credential(tenant, provider=HOST, base_url="https://unit.openai.azure.com")


def host(
    tenant: Tenant, model: str, *, provider: str = HOST, base: str = "", **more: Any
) -> TenantModel:
    values = {"base_model": base} if base else {}
    return TenantModel.objects.create(
        tenant=tenant,
        provider=provider,
        model=model,
        type="reasoning",
        origin="added",
        values=values,
        **more,
    )


def test_nothing_is_there_until_it_is_added(tenant: Tenant, ready: Any) -> None:
    assert library.shipped(HOST).models
    assert queries.entries(tenant_id=tenant.pk, provider=HOST) == []
    assert queries.entry(tenant_id=tenant.pk, provider=HOST, model=BASE) is None
    assert queries.counts(tenant.pk)[HOST] == 0
    with pytest.raises(ModelNotFound):
        lookup.resolve(
            tenant_id=tenant.pk, name=f"{HOST}/{BASE}", operation=Operation.CHAT, trials={}
        )


def test_no_hosting_provider_has_models_of_its_own(tenant: Tenant) -> None:
    for provider in registry.all_providers():
        assert (library.own(provider) == {}) is (
            provider.kind is Kind.HOSTING or not library.shipped(provider.slug).models
        )


def test_a_deployment_inherits_the_facts_of_its_base_model(tenant: Tenant, ready: Any) -> None:
    host(tenant, "our-chat", base=BASE)
    entry = queries.entry(tenant_id=tenant.pk, provider=HOST, model="our-chat")
    known = library.shipped(HOST).models[BASE]
    assert entry is not None
    assert (entry.context_window, entry.features, entry.price, entry.source) == (
        known.context_window,
        known.features,
        known.price,
        known.source,
    )
    assert entry.label == "our-chat"
    assert entry.facts.max_output == known.max_output
    assert [one.model for one in queries.entries(tenant_id=tenant.pk, provider=HOST)] == [
        "our-chat"
    ]
    assert queries.counts(tenant.pk)[HOST] == 1


def test_the_base_model_counts_before_the_name(tenant: Tenant, ready: Any) -> None:
    """A deployment named after one model may run another."""
    host(tenant, "gpt-4o", base="o3-mini")
    host(tenant, "gpt-4.1")
    host(tenant, "mystery", base="nobody-knows")
    one, named, unknown = (
        queries.entry(tenant_id=tenant.pk, provider=HOST, model=name)
        for name in ("gpt-4o", "gpt-4.1", "mystery")
    )
    assert one is not None
    assert named is not None
    assert unknown is not None
    assert one.price == library.shipped(HOST).models["o3-mini"].price
    assert named.price == library.shipped(HOST).models["gpt-4.1"].price
    assert (unknown.price, unknown.context_window, unknown.features) == (None, None, frozenset())


def test_the_tenants_word_counts_before_the_base_models(
    tenant: Tenant, ready: Any, globex: Workspace
) -> None:
    host(tenant, "our-chat", base=BASE)
    models.override(
        tenant=tenant,
        actor=COMMAND,
        provider=HOST,
        model="our-chat",
        overrides={"context_window": 777},
    )
    with tenant_scope(globex.tenant):
        host(globex.tenant, "our-chat", base=BASE)
        other = queries.entry(tenant_id=globex.tenant.pk, provider=HOST, model="our-chat")
    entry = queries.entry(tenant_id=tenant.pk, provider=HOST, model="our-chat")
    assert entry is not None
    assert other is not None
    assert (entry.context_window, entry.max_output) == (777, other.max_output)
    assert other.context_window == library.shipped(HOST).models[BASE].context_window


def test_an_endpoint_of_ones_own_has_no_list_price(tenant: Tenant) -> None:
    slug, base = "huggingface_hub", "openai/gpt-oss-120b"
    host(tenant, base, provider=slug)
    host(
        tenant,
        "mine",
        provider=slug,
        base=base,
        base_url="https://mine.endpoints.huggingface.cloud",
    )
    host(tenant, "deployed", base=BASE, base_url="https://other.openai.azure.com")
    hosted, mine = (
        queries.entry(tenant_id=tenant.pk, provider=slug, model=name) for name in (base, "mine")
    )
    deployed = queries.entry(tenant_id=tenant.pk, provider=HOST, model="deployed")
    assert hosted is not None
    assert mine is not None
    assert deployed is not None
    assert (hosted.price is not None, mine.price, mine.context_window) == (
        True,
        None,
        hosted.context_window,
    )
    assert deployed.price is not None, "a deployment has the same price at every resource"


def test_a_gone_base_model_makes_its_deployments_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Facts(
        type=ModelType.REASONING,
        label="Old",
        price=Price("USD", is_free=True),
        retired=date(2026, 1, 1),
    )
    monkeypatch.setattr(library, "shipped", lambda slug: library.Shipped({"old": gone}))
    inherited = library.of_row(HOST, "mine", "old")
    assert inherited is not None
    assert (inherited.retired, inherited.label, inherited.type) == (
        gone.retired,
        None,
        ModelType.REASONING,
    )
    assert library.of_row(HOST, "old") is gone
    assert library.of_row(HOST, "mine") is None


def test_a_server_that_lists_a_known_model_gets_a_row_for_it(tenant: Tenant) -> None:
    provider = registry.get("huggingface_hub")
    name = next(iter(library.shipped(provider.slug).models))
    store(tenant, provider, [ListedModel(name)])
    row = TenantModel.objects.get(tenant=tenant, provider=provider.slug)
    assert (row.model, row.type, row.origin) == (name, "reasoning", "synced")


@pytest.mark.parametrize("slug", ["azure_openai", "huggingface_hub", "replicate"])
def test_the_form_offers_what_is_known(client: Client, acme: Workspace, slug: str) -> None:
    client.force_login(acme.owner)
    with tenant_scope(acme.tenant):
        make_credential(
            acme.tenant,
            provider=slug,
            base_url="https://unit.openai.azure.com" if slug == HOST else "",
        )
    text = client.get(
        reverse("model-add", kwargs={"workspace": acme.slug, "provider": slug})
    ).content.decode()
    assert "<datalist" in text
    today = date.today()
    for name, known in library.shipped(slug).models.items():
        if known.type in registry.get(slug).model_types:
            assert (f'<option value="{name}">' in text) is not bool(
                known.retired and known.retired <= today
            )
