"""`manage.py check`: the registry and the stored rows agree."""

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
    """Every provider can be loaded and declares what it must; every adapter has its file of facts."""
    try:
        registry.all_providers()
        missing = registry.without_file()
    except Exception as error:  # any mistake in a declaration is a finding here, not a traceback
        return [Error(f"A provider cannot be loaded: {error}", id="modelkeep.E101")]
    hint = "Add one; it may be without models."
    return [
        Error(f"{name_of(slug)} is missing.", hint=hint, id="modelkeep.E111") for slug in missing
    ]


@register(Tags.security)
def allowed_origins_are_sound(app_configs: Any, **_options: Any) -> list[CheckMessage]:
    """Each entry of MODELKEEP_EGRESS_ALLOW is one origin; any other lets nothing through, or more
    than it seems.
    """
    hint = (
        "Write scheme, host and port of one server, such as http://127.0.0.1:11434, and "
        "separate several by commas."
    )
    return [
        Warning(
            f"MODELKEEP_EGRESS_ALLOW holds “{entry}”: {problem}.", hint=hint, id="modelkeep.W102"
        )
        for entry in settings.MODELKEEP_EGRESS_ALLOW
        if (problem := egress.entry_problem(entry.strip()))
    ]


@register(Tags.database)
def stored_providers_are_known(
    app_configs: Any, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Rows name providers by slug; one whose adapter is gone cannot be used any more."""
    return unknown_slugs(databases, (ProviderCredential, ProviderChoice), "modelkeep.W101")


def unknown_slugs(
    databases: Sequence[str] | None, models: Sequence[Any], id: str
) -> list[CheckMessage]:
    """A warning for each table with rows of providers that there is no adapter for. Looks at slugs
    only.
    """
    known = {provider.slug for provider in registry.all_providers()}
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        tables = connection.introspection.table_names()
        for model in models:
            table = model._meta.db_table
            if table not in tables:
                continue  # not migrated yet
            quoted = connection.ops.quote_name(table)
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT DISTINCT provider FROM {quoted}")  # noqa: S608  (a table's name of ours)
                unknown = sorted({slug for (slug,) in cursor.fetchall()} - known)
            if unknown:
                hint = "Bring the adapter back, or delete these rows in the operators' site."
                found.append(
                    Warning(
                        f"{table} names unknown providers: {', '.join(unknown)}", hint=hint, id=id
                    )
                )
    return found
