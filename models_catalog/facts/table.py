"""The table of facts on a model's page: each effective value and its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_catalog.queries import Layers
from models_catalog.resolution.entries import Facts
from providers.operations.table import facts_of_other_types
from providers.templatetags.provider_ui import price, type_label

SOURCES = {"own": _("Your own value"), "synced": _("The provider's list"), "shipped": _("Shipped")}


@dataclass(frozen=True, slots=True)
class FactRow:
    """One fact with its effective value and source.

    `instead` is the shipped value if a different one is in effect.
    """

    label: Any
    value: str
    source: Any
    is_own: bool
    instead: str


def facts_table(layers: Layers) -> list[FactRow]:
    """Return the facts in page order.

    Unknown facts are shown as a dash, or left out if they don't apply to the model's type.
    """
    rows = []
    kind = layers.entry.type
    for name, label, show in _SHOWN:
        values = {
            slug: getattr(facts, name)
            for slug, facts in _in_order(layers, name)
            if facts is not None
        }
        slug = next((slug for slug, value in values.items() if value is not None), None)
        shipped = values.get("shipped")
        instead = (
            show(shipped)
            if slug not in (None, "shipped")
            and shipped is not None
            and shipped != values[slug or ""]
            else ""
        )
        if slug is None and name in facts_of_other_types(kind):
            continue
        value = show(values[slug]) if slug else "–"
        if name == "type" and slug is None and kind is not None:
            value = show(kind)  # chosen when the model was added by hand
        rows.append(FactRow(label, value, SOURCES[slug] if slug else "", slug == "own", instead))
    return rows


def _in_order(layers: Layers, name: str) -> tuple[tuple[str, Facts | None], ...]:
    """Order the layers as `catalog.merge` does; for types, shipped facts beat the list's guess."""
    own, synced, shipped = (
        ("own", layers.own),
        ("synced", layers.synced),
        ("shipped", layers.shipped),
    )
    return (own, shipped, synced) if name == "type" else (own, synced, shipped)


def _number(value: Any) -> str:
    return f"{value:,}"


def _names(value: Any) -> str:
    return ", ".join(sorted(value)) or "–"


_SHOWN: tuple[tuple[str, Any, Callable[[Any], str]], ...] = (
    ("type", _("Model type"), lambda value: str(type_label(value))),
    ("context_window", _("Context window (tokens)"), _number),
    ("max_output", _("Longest answer (tokens)"), _number),
    ("max_inputs", _("Texts in one request"), _number),
    ("features", _("Features"), _names),
    ("price", _("Price"), price),
    ("retired", _("Shut down on"), lambda value: value.isoformat()),
    ("successor", _("Successor"), str),
)
