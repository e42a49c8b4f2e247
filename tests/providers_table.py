"""`python -m tests.providers_table`: write the table of providers in README.md from the
registry.
"""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
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


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
