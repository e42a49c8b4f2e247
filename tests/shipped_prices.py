"""Every version of a price that was ever shipped, as recorded in a file beside the tests.

Records of calls name the version that they were priced by, so a version must stay as it is. The
file has a line for each: model, version, currency and amounts for people to read. `python -m
tests.tables` adds the new ones. A version that was wrong from the start may go: put "withdrawn:"
and the reason into a fourth column of its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from models_catalog.facts import library
from models_catalog.facts.prices import price_json
from models_catalog.resolution.entries import Facts, Price
from providers.declaration import files

RECORD = Path(__file__).parent / "models_catalog" / "facts" / "shipped_prices.tsv"
Key = tuple[str, str]  # model and version


def shipped() -> dict[Key, str]:
    """The versions in the data files, with their currency and usual amounts."""
    return versions_of({slug: library.from_file(slug).models for slug in files.slugs()})


def versions_of(models: Mapping[str, Mapping[str, Facts]]) -> dict[Key, str]:
    return {
        (f"{slug}/{model}", price.version): _brief(price)
        for slug, facts_of in models.items()
        for model, facts in facts_of.items()
        for price in (facts.price, *(facts.earlier_prices or ()))
        if price is not None
    }


def recorded(text: str) -> tuple[set[Key], set[Key]]:
    """The versions of the file: those that must be there, and those that were withdrawn."""
    kept, withdrawn = set(), set()
    for line in text.splitlines():
        model, version, _amounts, *reason = line.split("\t")
        if reason and not reason[0].removeprefix("withdrawn:").strip():
            raise ValueError(f"Say why the price of {model} was withdrawn.")
        (withdrawn if reason else kept).add((model, version))
    return kept, withdrawn


def changed(text: str, versions: Mapping[Key, str]) -> list[Key]:
    """What was shipped once and is not there any more."""
    return sorted(recorded(text)[0] - set(versions))


def updated(text: str, versions: Mapping[Key, str]) -> str:
    """The file with the versions that it lacks."""
    new = set(versions) - recorded(text)[0] - recorded(text)[1]
    lines = [*text.splitlines(), *("\t".join((*key, versions[key])) for key in new)]
    return "".join(f"{line}\n" for line in sorted(lines))


def _brief(price: Price) -> str:
    document = price_json(price)
    names = ("currency", "input", "output", "per_minute", "per_million_characters", "per_image")
    amounts = " ".join(f"{name} {document[name]}" for name in names[1:] if name in document)
    return f"{document['currency']} {amounts or 'other'}"
