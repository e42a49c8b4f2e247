"""Calls are priced again: records stay, sums and pages follow, and twice changes nothing."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from models_catalog.services import models as catalog
from quotas.models import CallRecord, CostCorrection, Rating
from quotas.rating import services, store
from quotas.rating.services import Period
from quotas.usage import call_list, exports, rollups, totals
from tenants.audit.trail import COMMAND, SYSTEM
from tenants.scope import tenant_scope
from tests import factories
from tests.factories import Workspace

DAY = datetime(2026, 11, 3, tzinfo=UTC)
OWN = {"currency": "EUR", "input": "10", "output": "20", "since": "2026-11-03T12:00:00Z"}


def make_call(space: Workspace, hours: int, **changes: Any) -> CallRecord:
    """A call of gpt-4o that cost 0.0125 USD: 1,000 tokens in, 1,000 out."""
    return factories.make_call(
        space.tenant,
        **{
            "time": DAY + timedelta(hours=hours),
            "provider": "openai",
            "model": "gpt-4o",
            "prompt_tokens": 1000,
            "completion_tokens": 1000,
            "cached_tokens": 0,
            "cost": Decimal("0.0125"),
            "currency": "USD",
            "price_version": "0123456789abcdef",
        }
        | changes,
    )


def enter_price(space: Workspace, price: dict[str, str] | None) -> None:
    catalog.override(
        tenant=space.tenant,
        actor=SYSTEM,
        provider="openai",
        model="gpt-4o",
        overrides={"price": price},
    )


def period(space: Workspace, **more: Any) -> Period:
    return Period(tenant=space.tenant, since=DAY, before=DAY + timedelta(days=1), **more)


def sums(space: Workspace) -> dict[str, int]:
    state = totals.rollup_state(tenant_id=space.tenant.pk)
    plan = totals.plan(state, DAY, DAY + timedelta(days=1))
    rows = totals.add_up(tenant_id=space.tenant.pk, of=plan, by=("currency",))
    return {row["currency"]: row["cost_steps"] for row in rows}


@pytest.fixture(autouse=True)
def no_providers() -> None:
    """Leave the ports connected, unlike the other tests of this app: the catalog has the prices."""


@pytest.fixture
def space(acme: Workspace) -> Any:
    with tenant_scope(acme.tenant):
        yield acme


def test_a_price_that_came_late_corrects_the_calls_since_its_date(
    space: Workspace, globex: Workspace
) -> None:
    morning, noon = make_call(space, 11), make_call(space, 12)
    make_call(space, 13, model="nobody-knows")
    with tenant_scope(globex.tenant):
        make_call(globex, 12)
    rollups.roll_up(now=DAY + timedelta(days=2))
    assert sums(space) == {"USD": 3 * 125_000_000}
    enter_price(space, OWN)

    shown = services.preview(period=period(space))
    assert (shown.calls, shown.corrected, shown.unpriced, shown.rating) == (3, 1, 1, None)
    assert CostCorrection.objects.count() == 0
    made = services.rate(period=period(space), actor=COMMAND, reason="a late price")
    assert (made.corrected, made.old, made.new) == (1, shown.old, shown.new)
    assert made.new == {"USD": Decimal("0.025"), "EUR": Decimal("0.03")}

    again = services.rate(period=period(space), actor=COMMAND)
    assert (again.corrected, again.rating, again.old) == (0, None, made.new)
    record = CallRecord.objects.get(pk=noon.pk)
    assert (record.cost, record.currency) == (Decimal("0.0125"), "USD"), "records stay"

    assert sums(space) == {"USD": 250_000_000, "EUR": 300_000_000}
    rollups.roll_up(now=DAY + timedelta(days=2))
    assert sums(space) == {"USD": 250_000_000, "EUR": 300_000_000}
    listed = {
        call.pk: (call.cost, call.currency) for call in call_list.calls(tenant_id=space.tenant.pk)
    }
    assert listed[noon.pk] == (Decimal("0.03"), "EUR")
    assert listed[morning.pk] == (Decimal("0.0125"), "USD")
    [filtered, _morning] = call_list.calls(tenant_id=space.tenant.pk, model="gpt-4o")
    assert (filtered.pk, filtered.cost) == (noon.pk, Decimal("0.03"))
    [batch] = call_list.every_call(tenant_id=space.tenant.pk, model="gpt-4o")
    assert b",0.03,EUR," in b"".join(exports.of_calls([batch]))
    with tenant_scope(globex.tenant):
        assert sums(globex) == {"USD": 125_000_000}


def test_an_earlier_ratings_prices_give_the_same_sum_for_ever(space: Workspace) -> None:
    make_call(space, 11), make_call(space, 12)
    enter_price(space, OWN)
    first = services.rate(period=period(space), actor=COMMAND)
    enter_price(space, OWN | {"input": "11"})
    second = services.rate(period=period(space), actor=COMMAND)
    assert second.new["EUR"] == Decimal("0.031")
    assert services.preview(period=period(space)).new == second.new
    assert services.preview(period=period(space), prices_of=first.rating).new == first.new
    services.rate(period=period(space), actor=COMMAND, prices_of=first.rating)
    assert services.preview(period=period(space)).old == first.new
    assert CostCorrection.objects.filter(is_current=True).count() == 1
    assert CostCorrection.objects.count() == 3


def test_records_that_do_not_say_all_that_was_used_keep_their_cost(space: Workspace) -> None:
    make_call(space, 12, price_version="", cost=Decimal("0.5"))
    make_call(space, 12, price_version="")
    enter_price(space, OWN)
    outcome = services.rate(period=period(space), actor=COMMAND)
    assert (outcome.incomplete, outcome.corrected) == (1, 1)


def test_what_becomes_unknown_is_not_free(space: Workspace) -> None:
    call = make_call(space, 12, quantities={"tools": {"web_search": 1}})
    assert services.rate(period=period(space), actor=COMMAND).new == {}
    shown = call_list.call(tenant_id=space.tenant.pk, pk=call.pk)
    assert shown is not None
    assert (shown.cost, shown.currency) == (None, "")


def test_only_the_chosen_calls_are_rated(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 2)
    for hours in (1, 12, 12, 12, 24):
        make_call(space, hours)
    make_call(space, 12, model="gpt-4o-mini")
    enter_price(space, OWN)
    outcome = services.rate(period=period(space, provider="openai", model="gpt-4o"), actor=COMMAND)
    assert (outcome.calls, outcome.corrected) == (4, 3)


def test_a_rating_that_breaks_off_says_what_it_did(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BATCH", 1)
    for _call in range(3):
        make_call(space, 12)
    enter_price(space, OWN)
    insert, inserted = store.insert, []

    def fail_at_the_third(*arguments: Any) -> None:
        inserted.append(arguments)
        if len(inserted) == 3:
            raise KeyboardInterrupt
        insert(*arguments)

    monkeypatch.setattr(store, "insert", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        services.rate(period=period(space), actor=COMMAND)
    [broken] = Rating.objects.all()
    assert (broken.corrected, list(broken.prices)) == (2, ["openai/gpt-4o"])
    assert CostCorrection.objects.filter(rating=broken).count() == 2
    monkeypatch.setattr(store, "insert", insert)
    assert services.rate(period=period(space), actor=COMMAND).corrected == 1


def test_two_ratings_at_once_correct_a_call_once(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_call(space, 12)
    enter_price(space, OWN)
    read = store.rows

    def slow(*arguments: Any) -> Any:
        rows = read(*arguments)
        monkeypatch.setattr(store, "rows", read)
        if rows:
            services.rate(period=period(space), actor=COMMAND)
        return rows

    monkeypatch.setattr(store, "rows", slow)
    with pytest.raises(services.AnotherRating):
        services.rate(period=period(space), actor=COMMAND)
    assert CostCorrection.objects.count() == Rating.objects.count() == 1


def test_the_command_shows_then_applies(space: Workspace) -> None:
    make_call(space, 12)
    enter_price(space, OWN)

    def run(*options: str) -> Any:
        out = io.StringIO()
        days = ("--since", "2026-11-03", "--before", "2026-11-04T08:00:00+00:00")
        call_command("rate_calls", "acme", *days, "--json", *options, stdout=out)
        return json.loads(out.getvalue())

    shown, made = run(), run("--apply", "--reason", "late")
    assert shown["rating"] is None
    assert made == shown | {"rating": str(Rating.objects.get().pk)}
    assert (made["corrected"], made["new"]) == (1, {"EUR": "0.03"})
    assert run("--prices-of", made["rating"])["corrected"] == 0
    with pytest.raises(CommandError, match="no workspace"):
        call_command("rate_calls", "nobody", since="2026-11-03", before="2026-11-04")
