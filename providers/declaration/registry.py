"""The registry of providers: one per file of models_catalog/data, loaded and checked once."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from providers import adapters
from providers.declaration import files, rows
from providers.declaration.spec import Kind, Provider
from providers.operations.table import OPERATIONS


class UnknownProvider(KeyError):
    """No provider has this slug."""


@cache
def _registry() -> dict[str, Provider]:
    providers = sorted(
        map(load, files.slugs()), key=lambda provider: (provider.order, provider.slug)
    )
    return {provider.slug: provider for provider in providers}


def load(slug: str) -> Provider:
    """Return the provider declared by the adapter or, without an adapter, by the row.

    Raises:
        RuntimeError: The declaration is invalid; the message names the file.
    """
    adapter = f"{adapters.__name__}.{slug}"
    has_adapter = find_spec(adapter) is not None
    provider: Provider = import_module(adapter).PROVIDER if has_adapter else rows.provider_of(slug)
    problems = problems_of(provider, slug)
    if problems:
        place = f"providers/adapters/{slug}.py" if has_adapter else files.name_of(slug)
        raise RuntimeError(f"{place}: {'; '.join(problems)}")
    return provider


def without_file() -> list[str]:
    """Return the slugs of adapters without a file of facts, which are not offered."""
    slugs = files.slugs()
    names = [module.name for module in iter_modules(adapters.__path__) if module.name not in slugs]
    return [
        name for name in names if hasattr(import_module(f"{adapters.__name__}.{name}"), "PROVIDER")
    ]


def problems_of(provider: Provider, slug: str) -> list[str]:
    """Return the problems of a declaration."""
    names = [field.name for field in provider.credential_fields]
    rules = {
        f"slug is {provider.slug!r}, the file's name is {slug!r}": provider.slug != slug
        or not re.fullmatch(r"[a-z][a-z0-9_]*", slug),
        "no operation": not provider.operations,
        "a credential field is named twice": len(set(names)) != len(names),
        "no base_url field": not provider.local and "base_url" not in names,
        "base_url must be required without a default": not provider.local
        and not provider.default_base_url
        and not _requires_base_url(provider),
        "an operation's type is not among model_types": any(
            OPERATIONS[operation].model_type not in provider.model_types
            for operation in provider.operations
        ),
        "own models need a check": provider.kind is Kind.OWN
        and not provider.local
        and provider.check is None,
    }
    return [text for text, broken in rules.items() if broken]


def _requires_base_url(provider: Provider) -> bool:
    return any(field.name == "base_url" and field.required for field in provider.credential_fields)


def get(slug: str) -> Provider:
    """Return a provider.

    Raises:
        UnknownProvider: No provider has this slug.
    """
    try:
        return _registry()[slug]
    except KeyError:
        raise UnknownProvider(slug) from None


def all_providers() -> tuple[Provider, ...]:
    return tuple(_registry().values())


def offered() -> tuple[Provider, ...]:
    """Return the providers that tenants may set up; Demo only if the setting allows it."""
    from django.conf import settings

    return tuple(
        provider
        for provider in all_providers()
        if not provider.local or settings.MODELKEEP_DEMO_PROVIDER
    )
