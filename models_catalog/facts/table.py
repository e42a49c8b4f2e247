"""What is known of one model, taken apart for its page: each value, what is in effect, and where it
comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_catalog.queries import Layers
from models_catalog.resolution.catalog import Facts
from providers.operations.table import facts_of_other_types
from providers.templatetags.provider_ui import price, type_label

SOURCES = {"own": _("Your own value"), "synced": _("The provider's list"), "shipped": _("Shipped")}


@dataclass(frozen=True, slots=True)
class Known:
    """One fact. value: as it is in effect. source: whose word that is. instead: what is shipped
    where another value is in effect.
    """

    label: Any
    value: str
    source: Any
    is_own: bool
    instead: str


def facts_table(layers: Layers) -> list[Known]:
    """The facts in the order of the page; those that no source knows are shown as a dash, and left
    out where the type has none.
    """
    found = []
    kind = layers.entry.type
    for name, label, show in _SHOWN:
        said = {
            slug: getattr(facts, name)
            for slug, facts in _in_order(layers, name)
            if facts is not None
        }
        slug = next((slug for slug, value in said.items() if value is not None), None)
        shipped = said.get("shipped")
        instead = (
            show(shipped)
            if slug not in (None, "shipped") and shipped is not None and shipped != said[slug or ""]
            else ""
        )
        if slug is None and name in facts_of_other_types(kind):
            continue
        value = show(said[slug]) if slug else "–"
        if name == "type" and slug is None and kind is not None:
            value = show(
                kind
            )  # of a model added by hand: no fact, but what was said when it was added
        found.append(Known(label, value, SOURCES[slug] if slug else "", slug == "own", instead))
    return found


def _in_order(layers: Layers, name: str) -> tuple[tuple[str, Facts | None], ...]:
    """As catalog.merge: a list often only guesses the type, so what is shipped counts more there."""
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
