"""System checks of the shipped facts and of stored provider slugs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from models_catalog.facts import library, values
from models_catalog.models import TenantModel
from providers.checks import unknown_slugs
from providers.declaration import files


@register(Tags.models)
def shipped_facts_are_sound(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """Check that every provider's data file is valid."""
    errors: list[CheckMessage] = []
    for slug in files.slugs():
        try:
            library.shipped(slug)
        except values.BadFact as error:
            errors.append(Error(f"{files.name_of(slug)}: {error}", id="modelkeep.E113"))
        except files.BadFile as error:
            errors.append(Error(str(error), id="modelkeep.E113"))
    return errors


@register(Tags.database)
def stored_providers_are_known(
    app_configs: Any, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    return unknown_slugs(databases, (TenantModel,), "modelkeep.W111")
