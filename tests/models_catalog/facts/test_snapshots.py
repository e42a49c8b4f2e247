"""Snapshots: what is written can be read, what is wild is refused in words, and differences are
named.
"""

from __future__ import annotations

import copy
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import strict_json
from models_catalog.facts import library, refresh, snapshots
from models_catalog.facts.values import BadFact
from providers.declaration import registry

SLUGS = [provider.slug for provider in registry.all_providers()]


def document(**row: Any) -> dict[str, Any]:
    model = {
        "name": "m",
        "type": "reasoning",
        "label": "M",
        "source": "s",
        "price": {"currency": "USD", "input": "1", "output": "2"},
    } | row
    part = {
        "sources": {"s": {"title": "S", "date": "2026-11-22"}},
        "parameters": {"p": {"temperature": {"min": 0, "max": 1.5}}},
        "suggestions": {"reasoning": ["m"]},
        "model": [{key: value for key, value in model.items() if value is not None}],
    }
    return {"format": snapshots.FORMAT, "date": "2026-12-01", "providers": {"openai": part}}


def changes(**row: Any) -> list[str]:
    before, after = snapshots.read(document(), SLUGS), snapshots.read(document(**row), SLUGS)
    return [str(change) for change in snapshots.compare(before.providers, after.providers)]


def test_what_is_exported_says_the_same_as_the_files() -> None:
    text = json.dumps(snapshots.export(refresh.shipped_on(), {}, SLUGS), allow_nan=False)
    found = snapshots.read(strict_json.loads(text.encode()), SLUGS)
    assert set(found.providers) == set(SLUGS)
    assert found.skipped == ()
    for slug in SLUGS:
        assert found.providers[slug] == library.from_file(slug)
    assert (
        snapshots.compare({slug: library.from_file(slug) for slug in SLUGS}, found.providers) == []
    )


def test_a_loaded_part_is_exported_as_it_is() -> None:
    part = document()["providers"]["openai"]
    assert (
        snapshots.export(date(2026, 12, 1), {"openai": part}, ["openai", "demo"])["providers"][
            "openai"
        ]
        is part
    )


def test_a_provider_of_a_later_release_is_skipped() -> None:
    given = document()
    given["providers"]["later"] = {"whatever": [1]}
    assert snapshots.read(given, SLUGS).skipped == ("later",)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"format": "modelkeep-catalog/2"}, "format: "),
        ({"date": "tomorrow"}, "date: "),
        ({"date": None}, "date: "),
        ({"colour": 1}, "colour: "),
        ({"providers": []}, "providers: "),
        ({"providers": {}}, "providers: "),
        ({"providers": {"openai": 1}}, "openai: file: "),
        ({"providers": {"openai": {"provider": "anthropic"}}}, "openai: provider: "),
        ({"providers": {"openai": {"models": []}}}, "openai: file: Unknown key “models”"),
        ({"providers": {"openai": {"sources": {"s": {"title": "S"}}}}}, "openai: sources.s.date: "),
        ({"providers": {"openai": {"sources": {"s": 5}}}}, "openai: sources.s: "),
        ({"providers": {"openai": {"model": {"a": 1}}}}, "openai: model: "),
        ({"providers": {"openai": {"model": [{"type": "reasoning"}]}}}, "openai: model: "),
        (
            {"providers": {"openai": {"suggestions": {"reasoning": ["gone"]}}}},
            "openai: suggestions.reasoning: ",
        ),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(BadFact) as refused:
        snapshots.read(document() | wrong, SLUGS)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"type": None}, "type: "),
        ({"type": []}, "type: "),
        ({"source": ["s"]}, "source: "),
        ({"parameters": {"a": 1}}, "parameters: "),
        ({"max_inputs": 0}, "max_inputs: "),
        ({"values": {"version": 1}}, "values: "),
        ({"values": ["v1"]}, "values: "),
        ({"price": {"currency": "USD", "input": 1.5}}, "price: "),
        ({"price": {"currency": "U\x00D", "input": "1"}}, "price: "),
        ({"retired": "2026-02-30"}, "retired: "),
        ({"successor": "nobody"}, "successor: "),
        ({"as_of": 5}, "as_of: "),
        ({"label": "a\x00b"}, "label: "),
    ],
)
def test_what_is_wrong_in_a_row_is_named_with_its_model(row: dict[str, Any], words: str) -> None:
    with pytest.raises(BadFact) as refused:
        snapshots.read(document(**row), SLUGS)
    assert str(refused.value).startswith("openai: m: ")
    assert words in str(refused.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


WHOLE = document(
    features=["tools"],
    parameters="p",
    values={"version": "v1"},
    context_window=9,
    retired="2026-12-24",
    successor="m",
    as_of="2026-11-01",
)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from([place for place in places(WHOLE) if place]), value=JSON)
def test_wild_input_is_read_or_refused_and_never_breaks(place: tuple[Any, ...], value: Any) -> None:
    wild = copy.deepcopy(WHOLE)
    inside: Any = wild
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    try:
        found = snapshots.read(wild, SLUGS)
    except BadFact:
        return
    assert "\\u0000" not in json.dumps(wild, allow_nan=False), "PostgreSQL takes no NUL"
    for slug, part in found.providers.items():
        assert snapshots.compare({slug: part}, {slug: part}) == []


@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_no_wild_document_breaks_the_reader(value: Any) -> None:
    with pytest.raises(BadFact):
        snapshots.read(value, SLUGS)


@settings(max_examples=200, deadline=None)
@given(old=st.decimals("0.001", 1000, places=3), new=st.decimals("0.001", 1000, places=3))
def test_a_price_jumps_where_it_more_than_doubles_or_halves(old: Decimal, new: Decimal) -> None:
    before = snapshots.read(document(price={"currency": "USD", "input": str(old)}), SLUGS)
    after = snapshots.read(document(price={"currency": "USD", "input": str(new)}), SLUGS)
    kinds = [change.kind for change in snapshots.compare(before.providers, after.providers)]
    assert kinds == (
        [] if old == new else ["price jump"] if max(old, new) > 2 * min(old, new) else ["price"]
    )


@pytest.mark.parametrize(
    ("row", "change"),
    [
        (
            {"price": {"currency": "USD", "input": "2", "output": "2"}},
            "price: openai/m input 1 -> 2",
        ),
        (
            {"price": {"currency": "USD", "input": "2.01", "output": "2"}},
            "price jump: openai/m input 1 -> 2.01",
        ),
        (
            {"price": {"currency": "CNY", "input": "1", "output": "2"}},
            "price jump: openai/m USD -> CNY",
        ),
        ({"price": {"currency": "USD", "free": True}}, "price jump: openai/m USD -> USD free"),
        (
            {"price": {"currency": "USD", "input": "1", "output": "2", "cached_input": "0.1"}},
            "price: openai/m cached_input - -> 0.1",
        ),
        ({"price": None}, "price gone: openai/m"),
        ({"name": "n"}, None),
        ({"type": "embedding"}, "type: openai/m reasoning -> embedding"),
        ({"retired": "2026-12-24"}, "retired: openai/m - -> 2026-12-24"),
        ({"context_window": 5, "label": "N"}, "other: openai/m context_window, label"),
        ({}, ""),
    ],
)
def test_differences_are_named(row: dict[str, Any], change: str | None) -> None:
    if change is None:
        before, after = document(), document(**row)
        after["providers"]["openai"]["suggestions"] = {}
        found = snapshots.compare(
            snapshots.read(before, SLUGS).providers, snapshots.read(after, SLUGS).providers
        )
        assert [str(one) for one in found] == ["dropped: openai/m", "added: openai/n"]
        assert [one.is_grave for one in found] == [True, False]
    else:
        assert changes(**row) == ([change] if change else [])
