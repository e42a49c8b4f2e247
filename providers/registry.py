"""The providers there are: every module of providers.adapters, checked once and kept."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from providers import adapters
from providers.spec import OPERATION_TYPE, Kind, Provider

# As on the first page of settings; what is not listed follows in the order of its name.
ORDER = (
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
)


class UnknownProvider(KeyError):
    """No provider has this slug."""


def _place(slug: str) -> tuple[int, str]:
    return (ORDER.index(slug) if slug in ORDER else ORDER.index("openai_compatible"), slug)


@cache
def _registry() -> dict[str, Provider]:
    slugs = sorted((module.name for module in iter_modules(adapters.__path__) if not module.name.startswith("_")), key=_place)
    found: dict[str, Provider] = {}
    for slug in slugs:
        provider = import_module(f"{adapters.__name__}.{slug}").PROVIDER
        problems = problems_of(provider, slug)
        if problems:
            raise RuntimeError(f"providers/adapters/{slug}.py: {'; '.join(problems)}")
        found[slug] = provider
    return found


def problems_of(provider: Provider, slug: str) -> list[str]:
    """What is wrong with a declaration; empty where nothing is."""
    names = [field.name for field in provider.credential_fields]
    rules = {
        f"slug is {provider.slug!r}, the file's name is {slug!r}": provider.slug != slug or not re.fullmatch(r"[a-z][a-z0-9_]*", slug),
        "no operation": not provider.operations,
        "a credential field is named twice": len(set(names)) != len(names),
        "no base_url field": not provider.local and "base_url" not in names,
        "base_url must be required without a default": not provider.local
        and not provider.default_base_url
        and not _requires_base_url(provider),
        "an operation's type is not among model_types": any(OPERATION_TYPE[op] not in provider.model_types for op in provider.operations),
        "own models need a check": provider.kind is Kind.OWN and not provider.local and provider.check is None,
    }
    return [text for text, broken in rules.items() if broken]


def _requires_base_url(provider: Provider) -> bool:
    return any(field.name == "base_url" and field.required for field in provider.credential_fields)


def get(slug: str) -> Provider:
    """The provider of that slug. Raises UnknownProvider."""
    try:
        return _registry()[slug]
    except KeyError:
        raise UnknownProvider(slug) from None


def all_providers() -> tuple[Provider, ...]:
    return tuple(_registry().values())


def offered() -> tuple[Provider, ...]:
    """What tenants may set up: the built-in demonstration only where the setting allows it."""
    from django.conf import settings

    return tuple(provider for provider in all_providers() if not provider.local or settings.MODELKEEP_DEMO_PROVIDER)
