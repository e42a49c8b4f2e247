"""Model facts shipped with the product or loaded by an operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from models_catalog.facts.prices import MODIFIERS
from models_catalog.facts.schema import MOST_MODELS, parse, parse_parameters
from models_catalog.facts.values import BadFact, day, expect_keys, parse_text
from models_catalog.resolution.entries import Facts
from providers.declaration import files
from providers.declaration.spec import Kind, ModelType, Provider


@dataclass(frozen=True, slots=True)
class Shipped:
    """One provider's data file; `suggestions` maps a scenario to the models to offer first."""

    models: Mapping[str, Facts] = field(default_factory=dict)
    suggestions: Mapping[str, Sequence[str]] = field(default_factory=dict)


FILE: Final = {"provider", "sources", "parameters", "suggestions", "modifiers", "model"}
# Facts loaded by operators, by provider; they take precedence over the data files.
_snapshot: Mapping[str, Shipped] = {}


def shipped(provider: str) -> Shipped:
    """Return a provider's facts from the active snapshot, else from its data file, else empty."""
    return _snapshot.get(provider) or from_file(provider)


def use(snapshot: Mapping[str, Shipped]) -> None:
    """Use a snapshot's facts in this process; an empty snapshot restores the data files."""
    global _snapshot
    _snapshot = dict(snapshot)


@cache
def from_file(provider: str) -> Shipped:
    """Return the facts this release ships for a provider; read once per process."""
    return read(files.read(provider)) if provider in files.slugs() else Shipped()


def own(provider: Provider) -> Mapping[str, Facts]:
    """Return the shipped models that need not be added by hand; none for hosting providers."""
    return {} if provider.kind is Kind.HOSTING else shipped(provider.slug).models


def of_row(provider: str, model: str, base_model: str = "") -> Facts | None:
    """Return the shipped facts of a model.

    Args:
        base_model: The model that a hosted model runs; its facts except the label are used.
    """
    models = shipped(provider).models
    base = models.get(base_model) if base_model else None
    return models.get(model) if base is None else replace(base, label=None)


def read(document: Any) -> Shipped:
    """Validate a parsed data file, or one provider's part of a snapshot.

    Raises:
        BadFact: A row is invalid; `field` names the model.
    """
    expect_keys("file", document, FILE)
    sources = {
        name: _source(f"sources.{name}", source)
        for name, source in _table("sources", document).items()
    }
    sets = {
        name: parse_parameters(f"parameters.{name}", rules)
        for name, rules in _table("parameters", document).items()
    }
    modifiers = _table("modifiers", document)
    expect_keys("modifiers", modifiers, {*MODIFIERS})
    models: dict[str, Facts] = {}
    for row in _rows(document.get("model", [])):
        name = _name(row)
        if name in models:
            raise BadFact(name, _("is listed twice"))
        try:
            models[name] = _shipped_row(_priced(row, modifiers), sources, sets)
        except BadFact as error:
            raise BadFact(name, str(error)) from error
    for name, facts in models.items():
        if facts.successor is not None and facts.successor not in models:
            raise BadFact(name, _("successor: No model of this provider has this name."))
    suggestions = {
        name: _names(f"suggestions.{name}", suggested, models)
        for name, suggested in _table("suggestions", document).items()
    }
    return Shipped(models, suggestions)


def _priced(row: Mapping[str, Any], modifiers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the modifiers of the provider's chat models to a row's price, which may have its own."""
    price = row.get("price")
    if row.get("type") != ModelType.REASONING or not isinstance(price, Mapping):
        return row
    return row if price.get("free") else {**row, "price": {**modifiers, **price}}


def _shipped_row(
    row: Mapping[str, Any], sources: Mapping[str, tuple[str, date]], sets: Mapping[str, Any]
) -> Facts:
    facts = {
        key: value
        for key, value in row.items()
        if key not in ("name", "source", "as_of", "parameters")
    }
    if not isinstance(source := row.get("source"), str) or source not in sources:
        raise BadFact("source", _("Must be one of the file's sources."))
    set_name = row.get("parameters")
    if set_name is not None and not (isinstance(set_name, str) and set_name in sets):
        raise BadFact("parameters", _("Must be one of the file's parameter sets."))
    origins: list[tuple[str, date]] = []
    if "earlier_prices" in facts:
        facts["earlier_prices"], origins = _earlier(facts["earlier_prices"], sources)
    parsed = parse(facts)
    if parsed.get("type") is None:
        raise BadFact("type", _("Is missing."))
    title, dated = sources[source]
    as_of = day("as_of", row["as_of"]) if "as_of" in row else dated
    parameters = sets[set_name] if set_name is not None else None
    _name_sources(parsed, [(title, as_of), *origins])
    return Facts(**parsed, parameters=parameters, source=title, as_of=as_of)


def _earlier(
    value: Any, sources: Mapping[str, tuple[str, date]]
) -> tuple[list[Any], list[tuple[str, date]]]:
    """Split earlier prices into their documents and their sources."""
    documents, origins = [], []
    for document in value if isinstance(value, list) else [value]:
        name = document.get("source") if isinstance(document, Mapping) else None
        if not isinstance(name, str) or name not in sources:
            raise BadFact("earlier_prices", _("Each needs a source of the file's."))
        documents.append({key: item for key, item in document.items() if key != "source"})
        origins.append(sources[name])
    return documents, origins


def _name_sources(parsed: dict[str, Any], origins: Sequence[tuple[str, date]]) -> None:
    """Let each version of a price say where it is from."""
    price, earlier = parsed.get("price"), parsed.get("earlier_prices")
    if price is not None:
        parsed["price"] = replace(price, source=origins[0][0], as_of=origins[0][1])
    if earlier:
        parsed["earlier_prices"] = tuple(
            replace(version, source=title, as_of=as_of)
            for version, (title, as_of) in zip(earlier, origins[1:], strict=True)
        )


def _table(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, Mapping) or len(value) > 1000:
        raise BadFact(name, _("Must be an object."))
    return {parse_text(name, key): item for key, item in value.items()}


def _source(name: str, value: Any) -> tuple[str, date]:
    expect_keys(name, value, {"title", "date"})
    return parse_text(f"{name}.title", value.get("title")), day(f"{name}.date", value.get("date"))


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_MODELS:
        raise BadFact("model", _("Must be a list of models."))
    return value


def _name(row: Any) -> str:
    name = row.get("name") if isinstance(row, Mapping) else None
    if not isinstance(name, str) or parse_text("model", name) != name:
        raise BadFact("model", _("Every model must be an object with a name."))
    return name


def _names(name: str, value: Any, models: Collection[str]) -> list[str]:
    if not isinstance(value, list) or any(
        not isinstance(model, str) or model not in models for model in value
    ):
        raise BadFact(name, _("Must be a list of the file's models."))
    return value
