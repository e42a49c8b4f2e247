"""A provider's page for the people who set it up lists the fields that the provider declares."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from providers.declaration import registry
from providers.declaration.spec import Provider
from tests.source import ROOT

PAGES = ROOT / "docs" / "providers"
PROVIDERS = registry.all_providers()
WRITTEN = [provider for provider in PROVIDERS if (PAGES / f"{provider.slug}.md").is_file()]


def fields_of(text: str) -> Iterator[tuple[str, bool]]:
    """Name and secrecy of each row in the tables whose first column is headed "field"."""
    inside = False
    for line in text.splitlines():
        cells = (
            [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        )
        if not cells:
            inside = False
        elif re.search(r"\bfield\b", cells[0], re.IGNORECASE):
            inside = True
        elif inside and (name := re.fullmatch(r"`([a-z_0-9]+)`", cells[0])):
            yield name[1], cells[-1].lower().startswith("yes")


@pytest.mark.parametrize("provider", WRITTEN, ids=lambda provider: provider.slug)
def test_the_page_names_every_field_and_says_which_are_secret(provider: Provider) -> None:
    text = (PAGES / f"{provider.slug}.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    declared = {
        (one.name, one.secret) for one in (*provider.credential_fields, *provider.model_fields)
    }
    assert set(fields_of(text)) == declared


def test_every_page_is_a_providers() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {provider.slug for provider in WRITTEN}
