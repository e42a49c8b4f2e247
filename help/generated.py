"""Help pages generated from provider declarations, for providers without a written page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from providers.declaration.spec import Field, Kind, Provider
from providers.operations.table import OPERATIONS


def markdown(provider: Provider) -> str:
    """Return the page in the active language, with the same headings and tables as written
    pages.
    """
    blocks = [
        f"# {provider.label}",
        str(provider.description),
        "## " + pgettext("help", "Setup"),
        *_setup(provider),
    ]
    if provider.model_fields:
        blocks += [_("For each model:"), _fields(provider.model_fields)]
    blocks += ["## " + _("What works"), _operations(provider), _models(provider)]
    return "\n\n".join(blocks)


def _setup(provider: Provider) -> Iterable[str]:
    if provider.key_url:
        yield _("Create a key at <%(url)s>.") % {"url": provider.key_url}
    if provider.credential_fields:
        yield _fields(provider.credential_fields)
    if provider.docs_url:
        yield _("The provider's documentation: <%(url)s>.") % {"url": provider.docs_url}


def _fields(fields: Sequence[Field]) -> str:
    rows = [
        (f"`{field.name}`", _about(field), _("yes") if field.secret else _("no"))
        for field in fields
    ]
    return table(
        (pgettext("help", "field"), pgettext("help", "what"), pgettext("help", "secret")), rows
    )


def _about(field: Field) -> str:
    parts = [str(field.label)]
    if not field.required:
        parts.append(pgettext("help", "optional"))
    if field.prefix:
        parts.append(_("starts with `%(prefix)s`") % {"prefix": field.prefix})
    return " · ".join([*parts, str(field.help_text)] if field.help_text else parts)


def _operations(provider: Provider) -> str:
    rows = [
        (str(OPERATIONS[operation].label), f"`/v1/{operation.path}`")
        for operation in provider.operations
    ]
    return table((pgettext("help", "what"), pgettext("help", "endpoint")), rows)


def _models(provider: Provider) -> str:
    if provider.kind is Kind.HOSTING:
        return _("Models are added one by one, by name.")
    return _("All models are imported when a key is saved.")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
