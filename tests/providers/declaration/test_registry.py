"""The registry, and what each declaration must hold."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from models_catalog.facts.library import shipped
from providers.declaration import registry
from providers.declaration.spec import ORDER, Field, Kind, ModelType, Operation


def test_order_and_look_up() -> None:
    slugs = [provider.slug for provider in registry.all_providers()]
    assert slugs[:3] == ["openai", "azure_openai", "anthropic"]
    assert slugs[-2:] == ["openai_compatible", "demo"]
    unplaced = [provider.slug for provider in registry.all_providers() if provider.order == ORDER]
    assert unplaced == slugs[slugs.index("chatglm") + 1 : -2] == sorted(unplaced)
    assert registry.get("openai").slug == "openai"
    with pytest.raises(registry.UnknownProvider):
        registry.get("nothing")
    assert issubclass(registry.UnknownProvider, KeyError)


def test_demo_is_offered_only_where_the_setting_allows_it(settings: Any) -> None:
    settings.MODELKEEP_DEMO_PROVIDER = False
    assert "demo" not in {provider.slug for provider in registry.offered()}
    settings.MODELKEEP_DEMO_PROVIDER = True
    assert registry.offered() == registry.all_providers()


@pytest.mark.parametrize("provider", registry.all_providers(), ids=lambda provider: provider.slug)
def test_declarations(provider: Any) -> None:
    assert str(provider.label)
    assert str(provider.description)
    for field in provider.credential_fields:
        assert str(field.label)
        assert isinstance(field.secret, bool)
        assert field.secret == any(
            word in field.name for word in ("key", "secret", "token", "password")
        )
    if provider.kind is Kind.OWN:
        assert provider.list_models is not None or shipped(provider.slug).models


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"slug": "Open-AI"}, "slug"),
        ({"operations": {}}, "no operation"),
        ({"credential_fields": (Field("base_url", "a"), Field("base_url", "b"))}, "twice"),
        ({"credential_fields": (Field("api_key", "a"),)}, "no base_url"),
        ({"default_base_url": ""}, "required without a default"),
        ({"model_types": (ModelType.RERANK,)}, "model_types"),
        ({"check": None}, "check"),
    ],
)
def test_broken_declarations_are_found(change: dict[str, Any], problem: str) -> None:
    provider = registry.get("openai")
    assert registry.problems_of(provider, "openai") == []
    assert any(
        problem in text for text in registry.problems_of(replace(provider, **change), "openai")
    )


def test_operations_that_are_not_there_are_left_out() -> None:
    assert set(registry.get("anthropic").operations) == {Operation.CHAT}


@pytest.mark.slow
def test_adapters_need_no_settings() -> None:
    """Labels are lazy: adapters are imported, and calls made, where Django was never set up."""
    program = (
        "from providers.declaration import registry\n"
        "from providers.transport import egress, steps\n"
        "from django.conf import settings\n"
        "assert len(registry.all_providers()) > 4 and not settings.configured\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PATH": ""}, timeout=60)
