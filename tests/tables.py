"""`python -m tests.tables`: write the tables in README.md, of providers from the registry and of
tested programs from their lock files, and docs/clients.md from the table of clients; and add new
prices to the record of those that were shipped.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CLIENTS = ROOT / "docs" / "clients.md"
BLOCK = r"(<!-- {0}: [^>]*-->\n).*?(<!-- /{0} -->)"


def providers_table() -> str:
    from django.utils import translation

    from providers.declaration import registry
    from providers.declaration.spec import Kind
    from providers.operations.table import operation_of

    lines = ["| provider | slug | models | added | needs |", "|---|---|---|---|---|"]
    with translation.override("en"):
        for provider in registry.all_providers():
            kinds = ", ".join(
                str(operation_of(kind).label).lower() for kind in provider.model_types
            )
            added = "all at once" if provider.kind is Kind.OWN else "one by one"
            needs = ", ".join(str(one.label) for one in provider.credential_fields if one.required)
            needs = needs or ("one of its keys" if provider.complete else "nothing")
            lines.append(f"| {provider.label} | `{provider.slug}` | {kinds} | {added} | {needs} |")
    return "\n".join(lines) + "\n"


def programs_table() -> str:
    from tests.clients.agents import AGENTS
    from tests.clients.frameworks import FRAMEWORKS

    lines = ["| program | version | formats | providers |", "|---|---|---|---|"]
    for program in (*AGENTS, *FRAMEWORKS):
        providers = ", ".join(f"`{slug}`" for slug in program.vendors)
        lines.append(
            f"| {program.name} | {program.version} | {', '.join(program.formats)} | {providers} |"
        )
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    for name, table in (("providers", providers_table()), ("programs", programs_table())):
        block = re.compile(BLOCK.format(name), re.DOTALL)
        text = block.sub(lambda found, table=table: found[1] + table + found[2], text)  # type: ignore[misc]
    return text


def clients_document() -> str:
    """The help's page, with links that work in its folder."""
    from django.utils import translation

    from help import clients, pages

    folder = pages.TOPIC_FOLDERS["en"]
    text = (pages.DOCS / folder / "clients.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((\w+\.md)", rf"]({folder}/\1", text)
    with translation.override("en"):
        return text.replace(pages.CLIENTS, clients.markdown(pages.EXAMPLE_ADDRESS))


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    CLIENTS.write_text(clients_document(), encoding="utf-8")
    from tests.shipped_prices import RECORD, shipped, updated

    RECORD.write_text(updated(RECORD.read_text("utf-8"), shipped()), "utf-8")
