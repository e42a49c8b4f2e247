"""System checks of the registry, the settings and the stored rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from providers.declaration import registry
from providers.declaration.files import name_of
from providers.models import ProviderChoice, ProviderCredential
from providers.transport import egress


@register(Tags.models)
def adapters_are_sound(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """Check that every provider can be loaded and every adapter has its file of facts."""
    try:
        registry.all_providers()
        missing = registry.without_file()
    except Exception as error:  # report any mistake in a declaration instead of a traceback
        return [Error(f"Could not load a provider: {error}", id="modelkeep.E101")]
    hint = "Add the file. It may have no models."
    return [
        Error(f"{name_of(slug)} is missing.", hint=hint, id="modelkeep.E111") for slug in missing
    ]


@register(Tags.security)
def allowed_origins_are_sound(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """Check that each entry of MODELKEEP_EGRESS_ALLOW is exactly one origin."""
    hint = (
        "Write the scheme, host and port of one server, such as http://127.0.0.1:11434. "
        "Separate entries with commas."
    )
    return [
        Warning(
            f"Invalid entry “{entry}” in MODELKEEP_EGRESS_ALLOW: {problem}.",
            hint=hint,
            id="modelkeep.W102",
        )
        for entry in settings.MODELKEEP_EGRESS_ALLOW
        if (problem := egress.entry_problem(entry.strip()))
    ]


@register(Tags.database)
def stored_providers_are_known(
    app_configs: Any, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Check that stored rows only name providers that have an adapter."""
    return unknown_slugs(databases, (ProviderCredential, ProviderChoice), "modelkeep.W101")


def unknown_slugs(
    databases: Sequence[str] | None, models: Sequence[Any], id: str
) -> list[CheckMessage]:
    """Return a warning for each table with rows of unknown providers. Reads only the slugs."""
    slugs = {provider.slug for provider in registry.all_providers()}
    warnings: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        tables = connection.introspection.table_names()
        for model in models:
            table = model._meta.db_table
            if table not in tables:
                continue  # not migrated yet
            quoted = connection.ops.quote_name(table)
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT DISTINCT provider FROM {quoted}")  # noqa: S608  (our own table name)
                unknown = sorted({slug for (slug,) in cursor.fetchall()} - slugs)
            if unknown:
                hint = "Restore the adapter, or delete these rows in the operators' site."
                warnings.append(
                    Warning(
                        f"{table} names unknown providers: {', '.join(unknown)}", hint=hint, id=id
                    )
                )
    return warnings
