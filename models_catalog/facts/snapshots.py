"""Read, export and compare snapshots of all providers' shipped facts, without the database.

A snapshot is one JSON object:
{"format": "modelkeep-catalog/1", "date": "2026-11-22", "providers": {slug: part}}.
A part has the tables of a data file (models_catalog/data/<slug>.toml) under the same names:
sources, parameters, suggestions, model. Dates are strings such as "2026-11-22", amounts are decimal
strings such as "2.50". Providers left out keep the facts shipped with the release.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from models_catalog.facts import library, schema, values
from models_catalog.facts.library import Shipped
from models_catalog.facts.prices import FLAT_RATES, MODIFIERS, RATES, price_json
from models_catalog.facts.values import BadFact
from models_catalog.resolution.entries import Facts, Price
from providers.declaration import files

FORMAT: Final = "modelkeep-catalog/1"
EARLIER: Final = "earlier"  # the source of prices that snapshots before had
JUMP: Final = 2  # a price that changes by more than this factor may be a mistake
# Kinds of changes, and those that an operator must confirm.
ADDED, DROPPED, PRICE, PRICE_JUMP, PRICE_GONE, TYPE, RETIRED, OTHER = (
    "added",
    "dropped",
    "price",
    "price jump",
    "price gone",
    "type",
    "retired",
    "other",
)
GRAVE: Final = frozenset({DROPPED, PRICE_JUMP, PRICE_GONE, TYPE})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A valid snapshot; `skipped` lists the providers that this release does not know."""

    date: date
    providers: Mapping[str, Shipped]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A difference in one model between two states of the catalog."""

    kind: str
    provider: str
    model: str
    detail: str = ""

    @property
    def is_grave(self) -> bool:
        return self.kind in GRAVE

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.provider}/{self.model}{f' {self.detail}' if self.detail else ''}"
        )


def read(document: Any, slugs: Iterable[str]) -> Snapshot:
    """Validate a parsed snapshot.

    Args:
        slugs: The providers of this release.

    Raises:
        BadFact: The snapshot is invalid; `field` names the provider, and the message the rest.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BadFact("format", _("Must be “%(format)s”.") % {"format": FORMAT})
    if unknown := set(document) - {"format", "date", "providers"}:
        raise BadFact(sorted(unknown)[0][:60], _("Unknown key."))
    day = values.day("date", document.get("date"))
    parts = document.get("providers")
    if not isinstance(parts, Mapping) or not parts:
        raise BadFact("providers", _("Must be an object that maps provider slugs to their models."))
    known_slugs = set(slugs)
    providers = {slug: _part(slug, part) for slug, part in parts.items() if slug in known_slugs}
    skipped = {slug: part for slug, part in parts.items() if slug not in known_slugs}
    if "\\u0000" in json.dumps(skipped):
        raise BadFact("providers", _("Contains the NUL character, which cannot be stored."))
    return Snapshot(day, providers, tuple(sorted(slug[:60] for slug in skipped)))


def _part(slug: str, part: Any) -> Shipped:
    try:
        if isinstance(part, Mapping) and part.get("provider", slug) != slug:
            raise BadFact("provider", gettext_lazy("Belongs to a different provider."))
        return library.read(part)
    except BadFact as error:
        raise BadFact(slug, str(error)) from error


def keep_history(document: dict[str, Any], before: Mapping[str, Shipped], since: date) -> None:
    """Let a snapshot's prices that differ from those before be versions of the day it is of.

    A price that says itself since when it is in force, or what it was earlier, is left as it is.
    """
    for slug in before.keys() & document["providers"].keys():
        part, known = document["providers"][slug], before[slug].models
        for row in part.get("model", []):
            old = known.get(row["name"])
            if old is not None and old.price is not None and not row.get("earlier_prices"):
                _keep_history(part, row, old, since)


def _keep_history(part: dict[str, Any], row: dict[str, Any], old: Facts, since: date) -> None:
    assert old.price is not None
    new = row.get("price")
    if new is None or new.get("since"):
        return
    earlier = list(old.earlier_prices or ())
    if library.read(part | {"model": [{**row, "successor": None}], "suggestions": {}}).models[
        row["name"]
    ].price != replace(old.price, since=None):
        new["since"] = since.isoformat()
        earlier = [old.price, *earlier]
    elif old.price.since is not None:
        new["since"] = old.price.since.isoformat()
    if earlier:
        row["earlier_prices"] = [price_json(price) | {"source": EARLIER} for price in earlier]
        part.setdefault("sources", {}).setdefault(
            EARLIER, {"title": "earlier snapshots", "date": since.isoformat()}
        )


def export(day: date, loaded: Mapping[str, Any], slugs: Iterable[str]) -> dict[str, Any]:
    """Build a snapshot of the facts in effect.

    Args:
        loaded: The parts of the active snapshot; other providers' data files are read.
    """
    parts = {slug: loaded[slug] if slug in loaded else _file(slug) for slug in sorted(slugs)}
    return {"format": FORMAT, "date": day.isoformat(), "providers": parts}


def _file(slug: str) -> dict[str, Any]:
    document = files.read(slug) if slug in files.slugs() else {}
    plain: dict[str, Any] = _plain(
        {name: value for name, value in document.items() if name != "provider"}
    )
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def compare(before: Mapping[str, Shipped], after: Mapping[str, Shipped]) -> list[Change]:
    """Return the changes, grave ones first."""
    changes: list[Change] = []
    for slug in sorted({*before, *after}):
        old, new = before.get(slug, Shipped()).models, after.get(slug, Shipped()).models
        changes += [Change(DROPPED, slug, name) for name in old if name not in new]
        for name, facts in new.items():
            changes += (
                [Change(ADDED, slug, name)]
                if name not in old
                else _changes(slug, name, old[name], facts)
            )
    return sorted(changes, key=lambda change: not change.is_grave)


def _changes(slug: str, name: str, old: Facts, new: Facts) -> Iterator[Change]:
    if old.type is not new.type:
        yield Change(TYPE, slug, name, f"{old.type} -> {new.type}")
    if old.price != new.price:
        yield _price_change(slug, name, old.price, new.price)
    if old.retired != new.retired:
        yield Change(RETIRED, slug, name, f"{old.retired or '-'} -> {new.retired or '-'}")
    others = schema.FIELDS - {"type", "price", "retired"}
    if changed := sorted(other for other in others if getattr(old, other) != getattr(new, other)):
        yield Change(OTHER, slug, name, ", ".join(changed))


def _price_change(slug: str, name: str, old: Price | None, new: Price | None) -> Change:
    if old is None or new is None:
        return Change(PRICE if new else PRICE_GONE, slug, name)
    if old.currency != new.currency or old.is_free is not new.is_free:
        return Change(PRICE_JUMP, slug, name, f"{_kind_of_price(old)} -> {_kind_of_price(new)}")
    was, now = _amounts(old), _amounts(new)
    jumps = [key for key in was if key in now and not _is_near(was[key], now[key])]
    detail = ", ".join(
        f"{key} {was.get(key, '-')} -> {now.get(key, '-')}"
        for key in {**was, **now}
        if was.get(key) != now.get(key)
    )
    return Change(PRICE_JUMP if jumps else PRICE, slug, name, detail)


def _is_near(old: Decimal, new: Decimal) -> bool:
    return old <= JUMP * new and new <= JUMP * old


def _amounts(price: Price) -> dict[str, Decimal]:
    amounts = {rate: getattr(price.rates, rate) for rate in RATES} | {
        rate: getattr(price, rate) for rate in FLAT_RATES
    }
    amounts |= {f"image {rate.size} {rate.quality}": rate.amount for rate in price.images}
    for tier in price.tiers:
        amounts |= {f"{rate} above {tier.above}": getattr(tier.rates, rate) for rate in RATES}
    for modifier in MODIFIERS:
        amounts |= {f"{modifier} {key}": value for key, value in getattr(price, modifier).items()}
    return {key: value for key, value in amounts.items() if value is not None}


def _kind_of_price(price: Price) -> str:
    return f"{price.currency} free" if price.is_free else price.currency
