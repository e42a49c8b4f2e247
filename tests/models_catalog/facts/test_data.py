"""The shipped facts: readable, sourced, dated, and never a zero for what is unknown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models_catalog import checks, scenarios
from models_catalog.facts import library, prices, schema
from models_catalog.facts.values import BadFact
from models_catalog.resolution.entries import Facts, Rates
from providers.declaration import files
from providers.declaration.spec import ModelType

FILES = sorted(files.FOLDER.glob("*.toml"))
TODAY = date(2026, 11, 22)
# The models of the product's first description: shipped, flagged, and in the seeded trial plans.
FIRST = {
    "openai": {
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-16k",
        "text-davinci-003",
        "gpt-4",
        "gpt-4-32k",
        "gpt-3.5-turbo-instruct",
    },
    "anthropic": {"claude-instant-1", "claude-2"},
}


def rows() -> list[tuple[str, str, Facts]]:
    return [
        (path.stem, name, known)
        for path in FILES
        for name, known in library.shipped(path.stem).models.items()
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_can_be_read_and_names_its_sources(path: Path) -> None:
    document = files.read(path.stem)
    shipped = library.read(document)
    assert set(document) <= library.FILE
    models = document.get("model", ())
    used = {row["source"] for row in models}
    used |= {price["source"] for row in models for price in row.get("earlier_prices", ())}
    assert used == set(document.get("sources", {})), (
        "every source is used and every used one is named"
    )
    assert {row["parameters"] for row in document.get("model", ()) if "parameters" in row} == set(
        document.get("parameters", {})
    )
    assert set(shipped.suggestions) <= {scenario.slug for scenario in scenarios.SCENARIOS}


@pytest.mark.parametrize(
    ("provider", "name", "known"), rows(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_row_is_whole(provider: str, name: str, known: Facts) -> None:
    assert known.type is not None
    assert known.source
    assert known.as_of is not None
    assert known.as_of <= TODAY
    assert known.label
    for amount in (known.context_window, known.max_output):
        assert amount is None or amount > 0
    if known.price is not None:
        given = [getattr(known.price.rates, name) for name in prices.RATES] + [
            getattr(known.price, name) for name in prices.FLAT_RATES
        ]
        assert all(value is None or value > 0 for value in given)
        assert known.price.is_free is not any(given)
        assert all(
            tier.rates == Rates() or (tier.rates.input and tier.rates.output)
            for tier in known.price.tiers
        )
    assert (known.features or frozenset()) <= set(schema.FEATURES)
    assert set(known.values or ()) <= set(schema.VALUES)
    if known.successor:
        assert known.retired is not None
        successor = library.shipped(provider).models[known.successor]
        assert successor.type is known.type
        assert successor.retired is None or successor.retired > known.retired


def test_what_the_product_was_first_described_with_is_there_and_gone() -> None:
    for provider, names in FIRST.items():
        for name in names:
            known = library.shipped(provider).models[name]
            assert known.retired is not None
            assert known.retired <= TODAY
            assert known.successor


def test_suggestions_are_current_models_of_the_type() -> None:
    for path in FILES:
        shipped = library.shipped(path.stem)
        for slug, names in shipped.suggestions.items():
            scenario = scenarios.find(slug)
            assert scenario is not None
            for name in names:
                assert shipped.models[name].type is scenario.type
                assert (shipped.models[name].retired or date.max) > TODAY


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checks.shipped_facts_are_sound(None) == []
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    library.from_file.cache_clear()
    (tmp_path / "openai.toml").write_text('[[model]]\nname = "m"\nsource = "nowhere"\n')
    (tmp_path / "demo.toml").write_text("[[model]\n")
    messages = checks.shipped_facts_are_sound(None)
    library.from_file.cache_clear()
    assert [message.id for message in messages] == ["modelkeep.E113"] * 2
    assert messages[0].msg.startswith("models_catalog/data/demo.toml: Expected ")
    assert (
        messages[1].msg
        == "models_catalog/data/openai.toml: m: source: Must be one of the file's sources."
    )


def document(**changes: Any) -> dict[str, Any]:
    row = {"name": "m", "type": "reasoning", "source": "s", **changes}
    return {
        "sources": {"s": {"title": "S", "date": TODAY}},
        "model": [{key: value for key, value in row.items() if value is not None}],
    }


def test_a_plain_row_is_read() -> None:
    price = {
        "currency": "USD",
        "input": "1.5",
        "tiers": [{"above": 10, "input": "3", "output": "6"}],
    }
    known = library.read(document(price=price, retired=TODAY)).models["m"]
    assert known.price is not None
    assert (known.price.at(10).input, known.price.at(11).input, known.price.output) == (
        Decimal("1.5"),
        Decimal("3"),
        None,
    )
    assert (known.source, known.as_of, known.retired) == ("S", TODAY, TODAY)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "unnamed"},
        {"source": None},
        {"type": "video"},
        {"context_window": 0},
        {"context_window": -1},
        {"context_window": True},
        {"context_window": "8192"},
        {"price": {"currency": "USD"}},
        {"price": {"currency": "USD", "input": "0"}},
        {"price": {"currency": "USD", "input": 0}},
        {"price": {"currency": "USD", "input": "NaN"}},
        {"price": {"currency": "USD", "input": "-1"}},
        {"price": {"currency": "USD", "input": "cheap"}},
        {"price": {"currency": "USD", "input": "1", "free": True}},
        {"price": {"currency": "dollar", "input": "1"}},
        {"price": {"input": "1"}},
        {"price": {"currency": "USD", "input": "1", "guess": "1"}},
        {
            "price": {
                "currency": "USD",
                "input": "1",
                "tiers": [{"above": 9, "input": "2"}, {"above": 5, "input": "3"}],
            }
        },
        {"retired": "soon"},
        {"features": "vision"},
        {"parameters": "unnamed"},
        {"colour": "red"},
        {"label": ""},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_right_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(BadFact, match=r"^m: "):
        library.read(document(**changes))


@pytest.mark.parametrize("default", ["a\0b", "", "x" * 201, [1], {"a": 1}, None])
def test_a_default_is_a_plain_value(default: Any) -> None:
    with pytest.raises(BadFact):
        schema.parse({"parameters": {"temperature": {"default": default}}})
    for plain in (1, 0.5, False, "auto"):
        assert schema.parse({"parameters": {"t": {"default": plain}}}) == {
            "parameters": {"t": {"default": plain}}
        }


def test_a_row_must_not_come_twice() -> None:
    twice = document()
    twice["model"] *= 2
    with pytest.raises(BadFact, match="twice"):
        library.read(twice)


def test_stored_facts_survive_the_way_to_json_and_back() -> None:
    for _provider, _name, known in rows():
        given = {
            field: value for field in schema.FIELDS if (value := getattr(known, field)) is not None
        }
        assert schema.parse(schema.dump(given)) == given


def test_what_an_older_version_stored_does_not_break_a_page() -> None:
    found = schema.stored({"context_window": "many", "gone_field": 1, "type": "embedding"})
    assert (found.context_window, found.type) == (None, ModelType.EMBEDDING)
