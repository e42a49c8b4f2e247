"""A price that was shipped is never edited: calls were priced by it, and say so for ever."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from models_catalog.facts import library
from models_catalog.facts.prices import version_of
from tests.shipped_prices import RECORD, changed, recorded, shipped, updated, versions_of

pytestmark = pytest.mark.one_database


def test_what_was_shipped_is_still_there() -> None:
    gone = changed(RECORD.read_text("utf-8"), shipped())
    assert gone == [], (
        "These prices were changed in place. Give the new one `since`, and move the old one to "
        "`earlier_prices` as it was."
    )


def test_what_is_shipped_is_recorded() -> None:
    text = RECORD.read_text("utf-8")
    assert updated(text, shipped()) == text, "run `make tables`"
    assert len(text.splitlines()) > 200


def test_an_edit_is_noticed_and_a_new_version_is_not() -> None:
    versions, text = shipped(), RECORD.read_text("utf-8")
    models = dict(library.from_file("openai").models)
    facts = models["gpt-4o-mini"]
    assert facts.price is not None
    key = ("openai/gpt-4o-mini", facts.price.version)
    dearer = replace(facts.price, rates=replace(facts.price.rates, input=Decimal(9)))
    dearer = replace(dearer, version=version_of(dearer))
    edited = versions_of({"openai": models | {"gpt-4o-mini": replace(facts, price=dearer)}})
    rest = {name: value for name, value in versions.items() if not name[0].startswith("openai/")}
    assert changed(text, rest | edited) == [key]
    both = replace(facts, price=dearer, earlier_prices=(facts.price,))
    added = rest | versions_of({"openai": models | {"gpt-4o-mini": both}})
    assert changed(text, added) == []
    assert len(updated(text, added).splitlines()) == len(text.splitlines()) + 1


def test_a_wrong_price_may_be_withdrawn_for_a_reason() -> None:
    line = "openai/x\t0123456789abcdef\tUSD input 1"
    assert recorded(f"{line}\twithdrawn: ten times too much\n")[1] == {
        ("openai/x", "0123456789abcdef")
    }
    with pytest.raises(ValueError, match="Say why"):
        recorded(f"{line}\twithdrawn: \n")
