"""What the `model` of a request means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from models_catalog import queries
from models_catalog.errors import (
    AmbiguousModel,
    ModelDisabled,
    ModelNotFound,
    NotConfigured,
    WrongType,
)
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.resolution import lookup
from models_catalog.resolution.lookup import Resolution
from models_catalog.services import defaults, models
from providers import ports
from providers.declaration.spec import Operation
from providers.ports import TrialFacts
from tenants.audit.trail import COMMAND
from tenants.models import Tenant
from tests.factories import make_credential

TRIAL = {"openai": ["gpt-3.5-turbo", "text-davinci-003"]}


@pytest.fixture
def openai(tenant: Tenant) -> Any:
    return make_credential(tenant)


def resolve(
    tenant: Tenant,
    name: str | None,
    operation: Operation = Operation.CHAT,
    trials: Mapping[str, Any] | None = None,
) -> Resolution:
    return lookup.resolve(tenant_id=tenant.pk, name=name, operation=operation, trials=trials or {})


def ids(found: Resolution) -> list[str]:
    return [one.id for one in found.entries]


def host(
    tenant: Tenant,
    model: str,
    *,
    type: str = "reasoning",
    provider: str = "openai_compatible",
    **more: Any,
) -> TenantModel:
    return TenantModel.objects.create(
        tenant=tenant, provider=provider, model=model, type=type, origin="added", **more
    )


# ------------------------------------------------------------------------------------------ by name


def test_provider_and_model(tenant: Tenant, openai: Any) -> None:
    found = resolve(tenant, "openai/gpt-6-luna")
    assert (ids(found), found.scenario) == (["openai/gpt-6-luna"], None)
    assert found.entries[0].facts.context_window == 1_050_000


def test_a_bare_name_that_is_unique(tenant: Tenant, openai: Any) -> None:
    assert ids(resolve(tenant, " gpt-6-luna ")) == ["openai/gpt-6-luna"]


def test_a_bare_name_of_two_providers_is_ambiguous(tenant: Tenant, openai: Any) -> None:
    host(tenant, "gpt-6-luna")
    with pytest.raises(AmbiguousModel) as refused:
        resolve(tenant, "gpt-6-luna")
    assert refused.value.status == 400
    assert "openai/gpt-6-luna, openai_compatible/gpt-6-luna" in str(refused.value.message)
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=False
    )
    assert ids(resolve(tenant, "gpt-6-luna")) == ["openai_compatible/gpt-6-luna"]


def test_a_bare_name_counts_among_what_can_be_called(tenant: Tenant) -> None:
    """Without a key the shipped models of a provider are no candidates, and of a trial only its own
    models are.
    """
    host(tenant, "gpt-6-luna")
    assert ids(resolve(tenant, "gpt-6-luna")) == ["openai_compatible/gpt-6-luna"]
    assert ids(resolve(tenant, "gpt-6-luna", trials=TRIAL)) == ["openai_compatible/gpt-6-luna"]
    assert ids(resolve(tenant, "gpt-3.5-turbo", trials=TRIAL)) == ["openai/gpt-3.5-turbo"]


def test_a_model_whose_name_holds_a_slash(tenant: Tenant, openai: Any) -> None:
    host(tenant, "meta-llama/Llama-3")
    host(tenant, "openai/gpt-oss-20b")
    for name in ("openai_compatible/meta-llama/Llama-3", "meta-llama/Llama-3"):
        assert ids(resolve(tenant, name)) == ["openai_compatible/meta-llama/Llama-3"]
    assert ids(resolve(tenant, "openai/gpt-oss-20b")) == ["openai_compatible/openai/gpt-oss-20b"], (
        "OpenAI itself has no such model"
    )


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "openai/nothing",
        "nobody/gpt-6-luna",
        "OpenAI/gpt-6-luna",
        "/",
        "openai/",
        "x" * 5000,
    ],
)
def test_what_is_nowhere_is_not_found(tenant: Tenant, openai: Any, name: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        resolve(tenant, name)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    assert len(str(refused.value.message)) < 400


def test_a_model_that_is_switched_off_says_so(tenant: Tenant, openai: Any) -> None:
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=False
    )
    for name in ("openai/gpt-6-luna", "gpt-6-luna"):
        with pytest.raises(ModelDisabled) as refused:
            resolve(tenant, name)
        assert (refused.value.status, refused.value.code) == (404, "model_not_found")
        assert "switched off" in str(refused.value.message)


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "gpt-6-luna"])
def test_a_provider_without_a_key_is_not_configured(tenant: Tenant, name: str) -> None:
    with pytest.raises(NotConfigured) as refused:
        resolve(tenant, name)
    assert (refused.value.status, refused.value.provider) == (424, "openai")
    assert "Model providers" in str(refused.value.message)


def test_a_trial_makes_a_provider_ready(tenant: Tenant) -> None:
    found = resolve(tenant, "openai/gpt-3.5-turbo", trials=TRIAL).entries[0]
    assert found.is_retired, "retired models are found and flagged"
    assert found.successor
    assert ids(resolve(tenant, "openai/gpt-6-luna", trials=TRIAL)) == ["openai/gpt-6-luna"], (
        "why it is not served is the gateway's to say"
    )


def test_a_model_of_another_type_is_a_wrong_request(tenant: Tenant, openai: Any) -> None:
    for name in ("openai/text-embedding-3-small", "text-embedding-3-small"):
        with pytest.raises(WrongType) as refused:
            resolve(tenant, name)
        assert refused.value.status == 400
        assert ids(resolve(tenant, name, Operation.EMBEDDINGS)) == ["openai/text-embedding-3-small"]


# -------------------------------------------------------------------------------------- by scenario


def choose(tenant: Tenant, scenario: str, model: str, *fallbacks: str) -> None:
    defaults.set_default(
        tenant=tenant, actor=COMMAND, scenario=scenario, model=model, fallbacks=fallbacks
    )


@pytest.mark.parametrize("name", [None, "", "default", "reasoning"])
def test_the_default_of_the_scenario(tenant: Tenant, openai: Any, name: str | None) -> None:
    choose(tenant, "reasoning", "openai/gpt-6-luna", "openai/gpt-6.2-sol", "openai/o3")
    found = resolve(tenant, name)
    assert found.scenario == "reasoning"
    assert ids(found) == ["openai/gpt-6-luna", "openai/gpt-6.2-sol", "openai/o3"]
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6.2-sol", enabled=False
    )
    assert ids(resolve(tenant, name)) == ["openai/gpt-6-luna", "openai/o3"]


@pytest.mark.parametrize(
    ("operation", "scenario", "model"),
    [
        (Operation.EMBEDDINGS, "embedding", "openai/text-embedding-3-small"),
        (Operation.TRANSCRIPTION, "speech-to-text", "openai/whisper-1"),
        (Operation.COMPLETION, "reasoning", "openai/gpt-3.5-turbo-instruct"),
    ],
)
def test_default_means_what_the_endpoint_needs(
    tenant: Tenant, openai: Any, operation: Operation, scenario: str, model: str
) -> None:
    choose(tenant, scenario, model)
    for name in (None, "default", scenario):
        assert ids(resolve(tenant, name, operation)) == [model]


def test_nothing_set_names_the_page_and_is_no_guess(tenant: Tenant, openai: Any) -> None:
    for operation, slug in (
        (Operation.CHAT, "reasoning"),
        (Operation.EMBEDDINGS, "embedding"),
        (Operation.TRANSCRIPTION, "speech-to-text"),
    ):
        with pytest.raises(NotConfigured) as refused:
            resolve(tenant, None, operation)
        assert (refused.value.status, refused.value.code, refused.value.scenario) == (
            424,
            "not_configured",
            slug,
        )
        assert "Default models" in str(refused.value.message)
    assert not DefaultModel.objects.exists(), "looking made no row"
    assert not TenantModel.objects.exists()


def test_a_scenario_of_another_endpoint_is_a_wrong_request(tenant: Tenant, openai: Any) -> None:
    with pytest.raises(WrongType):
        resolve(tenant, "embedding", Operation.CHAT)


def test_a_default_that_was_switched_off_is_not_replaced_by_its_fallback(
    tenant: Tenant, openai: Any
) -> None:
    choose(tenant, "reasoning", "openai/gpt-6-luna", "openai/gpt-6.2-sol")
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6-luna", enabled=False
    )
    with pytest.raises(NotConfigured) as refused:
        resolve(tenant, "reasoning")
    assert "openai/gpt-6-luna" in str(refused.value.message)


def test_a_scenarios_name_counts_before_a_models(tenant: Tenant) -> None:
    host(tenant, "reasoning")
    with pytest.raises(NotConfigured):
        resolve(tenant, "reasoning")
    assert ids(resolve(tenant, "openai_compatible/reasoning")) == ["openai_compatible/reasoning"]


# -------------------------------------------------------------------------- catalog and suggestions


def test_models_show_for_what_is_set_up(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert queries.entries(tenant_id=tenant.pk) == []
    monkeypatch.setattr(
        ports.connected_trials,
        "_answer",
        lambda _tenant: {"openai": TrialFacts("p", 5, 0, 0, 5, {"gpt-3.5-turbo": 1})},
    )
    assert len(queries.entries(tenant_id=tenant.pk)) > 20
    host(tenant, "qwen")
    found = queries.entries(tenant_id=tenant.pk)
    assert found[-1].id == "openai_compatible/qwen"
    assert {one.provider for one in found} == {"openai", "openai_compatible"}


def test_the_catalog_is_searched_and_filtered(tenant: Tenant, openai: Any) -> None:
    def names(**wanted: Any) -> list[str]:
        return [one.model for one in queries.entries(tenant_id=tenant.pk, **wanted)]

    assert names(search="LUNA") == ["gpt-6-luna", "gpt-5.6-luna"]
    assert names(search="6.2 sol") == ["gpt-6.2-sol"], "labels are searched too"
    assert names(search="%") == []
    assert names(type="speech-to-text") == names(
        type="speech-to-text", provider="openai", enabled=True
    )
    assert "whisper-1" in names(type="speech-to-text")
    assert names(provider="anthropic") == []
    retired = [one.is_retired for one in queries.entries(tenant_id=tenant.pk)]
    assert retired == sorted(retired), "retired models come last"


def test_a_suggestion_is_current_and_can_be_called(
    tenant: Tenant, openai: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def suggested(scenario: str) -> str | None:
        found = queries.suggestion(tenant_id=tenant.pk, scenario=scenario)
        return found.id if found else None

    assert suggested("reasoning") == "openai/gpt-6.2-sol"
    assert suggested("embedding") == "openai/text-embedding-3-small"
    assert suggested("rerank") is None
    assert suggested("nothing") is None
    models.set_enabled(
        tenant=tenant, actor=COMMAND, provider="openai", model="gpt-6.2-sol", enabled=False
    )
    assert suggested("reasoning") == "openai/gpt-6.1-terra"
    assert not DefaultModel.objects.exists()
    openai.delete()
    monkeypatch.setattr(
        ports.connected_trials,
        "_answer",
        lambda _tenant: {"openai": TrialFacts("p", 5, 0, 0, 5, {"gpt-3.5-turbo": 1})},
    )
    assert suggested("reasoning") is None, "a trial of retired models is nothing to recommend"
