"""Prices have dates: each call is priced by the version in force at its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from models_catalog import queries
from models_catalog.facts import library, snapshots
from models_catalog.facts.values import BadFact
from models_catalog.resolution.entries import Price, PriceHistory, history_of
from models_catalog.services import models as services
from tenants.audit.trail import SYSTEM
from tenants.scope import tenant_scope
from tests.factories import Workspace

PRICE = {"currency": "EUR", "input": "7", "output": "9"}


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def listed(model: str) -> PriceHistory:
    slug, _slash, name = model.partition("/")
    return history_of((), None, [library.from_file(slug).models[name]])


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("model", "time", "prompt", "amounts"),
    [
        ("openai/gpt-3.5-turbo", "2023-09-19", 1, ("1.5", "2")),
        ("openai/gpt-3.5-turbo", "2024-02-16", 1, ("0.5", "1.5")),
        ("openai/gpt-4", "2023-09-19", 1, ("30", "60")),
        ("anthropic/claude-2", "2023-09-19", 1, ("11.02", "32.68")),
        ("spark/generalv2", "2023-09-19", 1, ("36", "36")),
        ("wenxin/ernie-bot", "2023-09-19", 1, ("12", "12")),
        ("openai/o3", "2025-06-09T23:59:59", 1, ("10", "40")),
        ("openai/o3", "2025-06-10", 1, ("2", "8")),
        ("openai/gpt-5.6-luna", "2026-07-29", 300_000, ("2", "9")),
        ("openai/gpt-5.6-luna", "2026-07-30", 300_000, ("0.4", "1.8")),
        ("anthropic/claude-opus-4-6", "2026-03-12", 200_001, ("10", "37.5")),
        ("anthropic/claude-opus-4-6", "2026-03-13", 200_001, ("5", "25")),
    ],
)
def test_the_list_price_of_a_day(
    model: str, time: str, prompt: int, amounts: tuple[str, str]
) -> None:
    price = listed(model).at(day(time))
    assert price is not None
    rates = price.at(prompt)
    assert (rates.input, rates.output) == tuple(map(Decimal, amounts))
    assert price.source
    assert price.as_of
    assert listed(model).find(price.version) == price


@pytest.mark.one_database
def test_a_version_keeps_its_id_as_long_as_it_says_the_same() -> None:
    document = {"currency": "USD", "input": "2.50", "since": "2026-01-01"}

    def version(**changes: str) -> str:
        row = {"name": "m", "type": "reasoning", "source": "s", "price": document | changes}
        sources = {"s": {"title": "t", "date": "2026-01-01"}}
        price = library.read({"sources": sources, "model": [row]}).models["m"].price
        assert price is not None
        return price.version

    assert version() == version(since="2026-01-01T00:00:00Z") == "7cd2c1492f5d11e5"
    assert len({version(), version(input="2.5"), version(since="2026-01-02")}) == 3


@pytest.mark.one_database
@pytest.mark.parametrize(
    "earlier",
    [
        [{"currency": "USD", "input": "1"}],  # of no source
        [{"currency": "USD", "input": "1", "source": "s", "since": "yesterday"}],
        [
            {"currency": "USD", "input": "1", "source": "s", "since": "2024-01-01"},
            {"currency": "USD", "input": "1", "source": "s", "since": "2025-01-01"},
            {"currency": "USD", "input": "1", "source": "s"},
        ],
    ],
)
def test_earlier_prices_have_a_source_and_an_order(earlier: list[dict[str, str]]) -> None:
    row = {"name": "m", "type": "reasoning", "source": "s", "price": PRICE}
    sources = {"s": {"title": "t", "date": "2026-01-01"}}
    with pytest.raises(BadFact):
        library.read({"sources": sources, "model": [row | {"earlier_prices": earlier}]})


@pytest.mark.one_database
def test_a_snapshot_keeps_the_prices_that_it_replaces() -> None:
    def document(amount: str) -> dict[str, object]:
        row = {"name": "m", "type": "reasoning", "source": "s", "price": PRICE | {"input": amount}}
        part = {"sources": {"s": {"title": "t", "date": "2026-01-01"}}, "model": [row]}
        return {"format": snapshots.FORMAT, "date": "2026-01-01", "providers": {"openai": part}}

    state = snapshots.read(document("1"), ["openai"]).providers
    for amount, since in (("2", "2026-02-01"), ("2", "2026-03-01"), ("3", "2026-04-01")):
        newer = document(amount)
        snapshots.keep_history(newer, state, day(since).date())
        state = snapshots.read(newer, ["openai"]).providers
    history = history_of((), None, [state["openai"].models["m"]])
    found = [
        history.at(day(text)) for text in ("2025-01-01", "2026-02-01", "2026-03-31", "2026-04-01")
    ]
    assert [str(price.input) for price in found if price] == ["1", "2", "2", "3"]


def changed(workspace: Workspace, price: dict[str, str] | None) -> PriceHistory:
    entry = services.override(
        tenant=workspace.tenant,
        actor=SYSTEM,
        provider="openai",
        model="gpt-4o",
        overrides={"price": price},
    )
    return entry.prices


def test_a_workspace_has_prices_with_dates_of_their_own(acme: Workspace, globex: Workspace) -> None:
    now = timezone.now()
    long_ago = now - timedelta(days=400)
    with tenant_scope(acme.tenant):
        before = changed(acme, PRICE | {"since": "2026-01-01"})
        own = before.at(day("2026-01-01"))
        assert own is not None
        assert (own.currency, own.is_own) == ("EUR", True)
        assert before.at(long_ago) == listed("openai/gpt-4o").at(long_ago)
        later = changed(acme, PRICE | {"input": "8"})
        assert str(getattr(later.at(now + timedelta(minutes=1)), "input", None)) == "8"
        assert later.at(day("2026-02-01")) == own, "a version is never changed"
        back = changed(acme, None)
        assert back.find(own.version) == own
        entry = queries.entry(tenant_id=acme.tenant.pk, provider="openai", model="gpt-4o")
        assert entry is not None
        assert (entry.price and entry.price.currency, entry.overrides) == ("USD", {})
    with tenant_scope(globex.tenant):
        other = queries.entry(tenant_id=globex.tenant.pk, provider="openai", model="gpt-4o")
        assert other is not None
        assert other.prices.find(own.version) is None
        assert isinstance(other.price, Price)
