"""`python -m tests.tables`: write the table of providers in README.md from the registry, and
docs/clients.md from the table of clients.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CLIENTS = ROOT / "docs" / "clients.md"
BLOCK = re.compile(r"(<!-- providers: [^>]*-->\n).*?(<!-- /providers -->)", re.DOTALL)


def table() -> str:
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


def with_table(text: str) -> str:
    return BLOCK.sub(lambda found: found[1] + table() + found[2], text)


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
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    CLIENTS.write_text(clients_document(), encoding="utf-8")
