"""`manage.py check`: every adapter has its data file, and the shipped facts can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from models_catalog import facts
from models_catalog.models import TenantModel
from providers import registry
from providers.checks import unknown_slugs


@register(Tags.models)
def shipped_facts_are_sound(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """One data file per adapter and none without; each can be read."""
    slugs = {provider.slug for provider in registry.all_providers()}
    files = {path.stem for path in facts.DATA.glob("*.toml")}
    found: list[CheckMessage] = [
        Error(f"models_catalog/data/{slug}.toml is missing.", hint="Add one; it may be without models.", id="modelkeep.E111")
        for slug in sorted(slugs - files)
    ]
    found += [Error(f"models_catalog/data/{slug}.toml belongs to no adapter.", id="modelkeep.E112") for slug in sorted(files - slugs)]
    for slug in sorted(slugs & files):
        try:
            facts.shipped(slug)
        except (facts.BadFact, ValueError) as error:
            found.append(Error(f"models_catalog/data/{slug}.toml: {error}", id="modelkeep.E113"))
    return found


@register(Tags.database)
def stored_providers_are_known(app_configs: Any, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    return unknown_slugs(databases, (TenantModel,), "modelkeep.W111")
