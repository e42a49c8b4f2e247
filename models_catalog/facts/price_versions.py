"""Versions of a model's price: a tenant's own, each with a date of its own, and the list's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from models_catalog.facts.prices import parse_price, price_json, version_of
from models_catalog.facts.values import BadFact, parse_time
from models_catalog.resolution.entries import Price, PriceHistory, PriceVersion

BEGINNING = datetime.min.replace(tzinfo=UTC)


def own(stored: Iterable[Mapping[str, Any]]) -> tuple[PriceVersion, ...]:
    """Return stored versions, newest first; of two since the same time, the later one first."""
    versions = [version for document in stored if (version := _version(document)) is not None]
    newest_last = sorted(versions, key=lambda version: version.since or BEGINNING)
    return tuple(reversed(newest_last))


def _version(document: Mapping[str, Any]) -> PriceVersion | None:
    """Return a version; None if another release wrote what this one cannot read."""
    try:
        since = document.get("since")
        time = None if since is None else parse_time("since", since)
        if document.get("price") is None:
            return PriceVersion(time, None)
        price = replace(parse_price("price", document["price"]), since=time)
        return PriceVersion(time, replace(price, version=version_of(price), is_own=True))
    except BadFact:
        return None


def added(
    stored: list[Any], before: Mapping[str, Any] | None, price: Price | None, now: datetime
) -> list[Any]:
    """Return the versions with a new one, which is in force from its own date, or from now on.

    Args:
        before: The tenant's price so far; what was entered before versions were kept counts as in
            force ever since.
        price: None for the list price.
    """
    versions = list(stored)
    if not versions and before is not None:
        versions.append({"since": None, "price": dict(before)})
    since = now if price is None or price.since is None else price.since
    versions.append(
        {
            "since": since.isoformat(),
            "price": None if price is None else price_json(replace(price, since=None)),
            "entered": now.isoformat(),
        }
    )
    return versions


def document_of(prices: Any) -> dict[str, Any]:
    """Return all versions as JSON, from which `history_of` makes the same prices."""
    return {"own": _documents(prices.own), "listed": _documents(prices.listed)}


def history_of(document: Mapping[str, Any]) -> PriceHistory:
    return PriceHistory(own(document["own"]), own(document["listed"]))


def _documents(versions: Sequence[PriceVersion]) -> list[dict[str, Any]]:
    return [
        {
            "since": version.since and version.since.isoformat(),
            "price": version.price and price_json(replace(version.price, since=None)),
        }
        for version in reversed(versions)  # later ones count first
    ]
