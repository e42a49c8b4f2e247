"""Facts on models that ship with the product or were loaded by an operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_catalog.facts.schema import (
    MOST_MODELS,
    BadFact,
    day,
    expect_keys,
    parse,
    parse_parameters,
    parse_text,
)
from models_catalog.resolution.catalog import Facts
from providers.declaration import files
from providers.declaration.spec import Kind, Provider


@dataclass(frozen=True, slots=True)
class Shipped:
    """One provider's data file. suggestions: type -> models to offer first as a default."""

    models: Mapping[str, Facts] = field(default_factory=dict)
    suggestions: Mapping[str, Sequence[str]] = field(default_factory=dict)


_snapshot: Mapping[
    str, Shipped
] = {}  # what operators loaded; it counts before the files, provider by provider


def shipped(provider: str) -> Shipped:
    """The shipped facts of a provider: of the snapshot that is in effect, else of its data file;
    empty for one without.
    """
    return _snapshot.get(provider) or from_file(provider)


def use(snapshot: Mapping[str, Shipped]) -> None:
    """Let a snapshot's facts count in this process; an empty one brings the data files back."""
    global _snapshot
    _snapshot = dict(snapshot)


@cache
def from_file(provider: str) -> Shipped:
    """The facts that this release ships of a provider, read once."""
    return read(files.read(provider)) if provider in files.slugs() else Shipped()


def own(provider: Provider) -> Mapping[str, Facts]:
    """The shipped models that are in a catalog without being added: a hosting provider's are known,
    but nobody has them yet.
    """
    return {} if provider.kind is Kind.HOSTING else shipped(provider.slug).models


def of_row(provider: str, model: str, base_model: str = "") -> Facts | None:
    """The shipped facts of a model. base_model: what a hosted one runs; its facts count then, all
    but its label.
    """
    known = shipped(provider).models
    base = known.get(base_model) if base_model else None
    return known.get(model) if base is None else replace(base, label=None)


def read(document: Any) -> Shipped:
    """A parsed data file, or one provider's part of a snapshot. Raises BadFact with the model's
    name where a row is wrong.
    """
    expect_keys("file", document, {"provider", "sources", "parameters", "suggestions", "model"})
    sources = {
        name: _source(f"sources.{name}", one) for name, one in _table("sources", document).items()
    }
    sets = {
        name: parse_parameters(f"parameters.{name}", one)
        for name, one in _table("parameters", document).items()
    }
    models: dict[str, Facts] = {}
    for row in _rows(document.get("model", [])):
        name = _name(row)
        if name in models:
            raise BadFact(name, _("is listed twice"))
        try:
            models[name] = _shipped_row(row, sources, sets)
        except BadFact as error:
            raise BadFact(name, str(error)) from error
    for name, known in models.items():
        if known.successor is not None and known.successor not in models:
            raise BadFact(name, _("successor: No model of this provider has this name."))
    suggestions = {
        name: _names(f"suggestions.{name}", one, models)
        for name, one in _table("suggestions", document).items()
    }
    return Shipped(models, suggestions)


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
    if (given := row.get("parameters")) is not None and not (
        isinstance(given, str) and given in sets
    ):
        raise BadFact("parameters", _("Must be one of the file's sets of parameters."))
    parsed = parse(facts)
    if parsed.get("type") is None:
        raise BadFact("type", _("Is missing."))
    title, dated = sources[source]
    as_of = day("as_of", row["as_of"]) if "as_of" in row else dated
    return Facts(
        **parsed, parameters=sets[given] if given is not None else None, source=title, as_of=as_of
    )


def _table(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, Mapping) or len(value) > 1000:
        raise BadFact(name, _("Must be an object."))
    return {parse_text(name, key): one for key, one in value.items()}


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
        raise BadFact("model", _("Every model is an object with a name."))
    return name


def _names(name: str, value: Any, models: Collection[str]) -> list[str]:
    if not isinstance(value, list) or any(
        not isinstance(one, str) or one not in models for one in value
    ):
        raise BadFact(name, _("Must be a list of the file's models."))
    return value
