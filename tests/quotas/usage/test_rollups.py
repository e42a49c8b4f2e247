"""Sums made in advance are those of all records: whatever comes late, at the same time, without a
price or in several currencies.
"""

from __future__ import annotations

import random
import secrets
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quotas.models import CallRecord, RolledUntil, StaleHour, UsageRollup
from quotas.usage import (
    call_list,
    columns,
    latency_buckets,
    rollups,
    summaries,
    totals,
)
from quotas.usage.rollups import roll_up
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests import ledger
from tests.factories import make_tenant
from tests.quotas.conftest import record_for
from tests.quotas.triggers import without_triggers

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Europe/Berlin",
    "Pacific/Chatham",
)


@st.composite
def one_call(draw: st.DrawFn) -> dict[str, Any]:
    status = draw(st.sampled_from(["ok", "ok", "ok", "error", "cancelled"]))
    cost = draw(st.none() | st.decimals("0", "1000", places=10))
    return {
        "time": NOW
        - timedelta(
            seconds=draw(st.integers(0, 5 * 86400)),
            microseconds=draw(st.sampled_from([0, 1, 999_999])),
        ),
        "provider": draw(st.sampled_from(["openai", "tongyi"])),
        "model": draw(st.sampled_from(["a", "b/c", ""])),
        "source": draw(st.sampled_from(["credential:Main", "trial:openai", ""])),
        "app_key_name": draw(st.sampled_from(["CI", "Bot", ""])),
        "user_id": draw(st.sampled_from([None, 7, 8])),
        "status": status,
        "error_code": draw(st.sampled_from(["provider_timeout", "unknown"]))
        if status == "error"
        else "",
        "cost": cost,
        "currency": draw(st.sampled_from(["USD", "CNY"])) if cost is not None else "",
        "prompt_tokens": draw(st.none() | st.integers(0, 10**6)),
        "completion_tokens": draw(st.none() | st.integers(0, 10**6)),
        "images": draw(st.none() | st.integers(0, 9)),
        "latency_ms": draw(st.integers(0, 400_000)),
    }


def take(step: int | list[dict[str, Any]], tenant: Tenant) -> None:
    """Roll up hours that ended so many ago, or write records."""
    if isinstance(step, int):
        roll_up(now=NOW - timedelta(hours=step))
        return
    for fields in step:
        ledger.record_call(record_for(tenant, **fields))


Step = st.lists(one_call(), min_size=1, max_size=6) | st.integers(
    0, 130
)  # records are written, or hours rolled up to so many ago


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(Step, max_size=12), zone=st.sampled_from(ZONES), days=st.sampled_from([1, 3, 7])
)
def test_sums_are_those_of_all_records(steps: list[Any], zone: str, days: int) -> None:
    with fresh_tenant() as tenant, timezone.override(ZoneInfo(zone)), tenant_scope(tenant):
        for step in steps:
            take(step, tenant)
            compare(tenant, days)
        roll_up(now=NOW + timedelta(hours=5))
        assert not StaleHour.objects.exists()
        compare(tenant, days)
        compare_rollups()


@contextmanager
def fresh_tenant() -> Iterator[Tenant]:
    """A tenant without calls: hypothesis runs many examples in one test, and records cannot be
    deleted but with the triggers off.
    """
    made = make_tenant(f"t{secrets.token_hex(8)}", with_keys=False)
    yield made
    with without_triggers(), tenant_scope(made):
        for model in (CallRecord, UsageRollup, RolledUntil, StaleHour):
            model.objects.all().delete()


def compare(tenant: Tenant, days: int) -> None:
    """Every figure against one that Python adds up from all records."""
    since = summaries.start_of(days, NOW)
    earlier = summaries.start_of(2 * days, NOW)
    records = list(CallRecord.objects.filter(time__gte=since))
    assert figures(summaries.totals(tenant_id=tenant.pk, days=days, now=NOW)) == plain(records)
    old = list(CallRecord.objects.filter(time__gte=earlier, time__lt=since))
    assert figures(
        summaries.totals(tenant_id=tenant.pk, days=days, periods_back=1, now=NOW)
    ) == plain(old)
    keys = {
        "day": lambda one: timezone.localtime(one.time).date().isoformat(),
        "model": lambda one: "/".join(filter(None, (one.provider, one.model))),
        "app_key": lambda one: one.app_key_name,
        "member": lambda one: str(one.user_id or ""),
        "error_code": lambda one: one.error_code,
    }
    usage = summaries.usage(tenant_id=tenant.pk, days=days, now=NOW)
    assert figures(usage.total) == plain(records)
    for by, key_of in keys.items():
        groups = defaultdict(list)
        for record in records:
            groups[key_of(record)].append(record)
        if by in ("member", "error_code"):
            groups.pop("", None)
        for rows in (
            summaries.summary(tenant_id=tenant.pk, days=days, by=by, now=NOW).rows,
            usage.days if by == "day" else usage.by[by],
        ):
            found = {row.key: figures(row) for row in rows if row.calls}
            assert found == {key: plain(group) for key, group in groups.items()}
    only = [one for one in records if one.provider == "openai" and one.app_key_name == "CI"]
    wanted = {"provider": "openai", "app_key": "CI"}
    assert figures(summaries.totals(tenant_id=tenant.pk, days=days, now=NOW, **wanted)) == plain(
        only
    )
    assert figures(
        summaries.usage(tenant_id=tenant.pk, days=days, now=NOW, **wanted).total
    ) == plain(only)
    compare_log(tenant, records, since)


def compare_log(tenant: Tenant, records: list[CallRecord], since: datetime) -> None:
    """The filtered log, page by page, against all records in order."""
    ordered = sorted(records, key=lambda one: (one.time, one.pk), reverse=True)
    fits = {
        "model": ("b/c", lambda one: one.model == "b/c"),
        "source": ("trial", lambda one: one.source.startswith("trial:")),
        "status": ("error", lambda one: one.status == "error"),
        "error_code": ("unknown", lambda one: one.error_code == "unknown"),
    }
    for name, (value, test) in fits.items():
        expected = [one.pk for one in ordered if test(one)]
        found, after = [], None
        while page := call_list.calls(
            tenant_id=tenant.pk, since=since, after=after, limit=2, **{name: value}
        ):
            found += [one.pk for one in page]
            after = page[-1].pk
        assert found == expected
        assert [
            one.pk
            for batch in call_list.every_call(tenant_id=tenant.pk, since=since, **{name: value})
            for one in batch
        ] == expected


def figures(row: summaries.SummaryRow) -> dict[str, Any]:
    names = (
        "calls",
        "errors",
        "cancelled",
        "trial_calls",
        "counted",
        "prompt_tokens",
        "completion_tokens",
        "images",
        "credits",
        "unpriced",
    )
    return {name: getattr(row, name) for name in names} | {
        "costs": {cost.currency: cost.amount for cost in row.costs}
    }


def plain(records: list[CallRecord]) -> dict[str, Any]:
    answered = [one for one in records if one.status != "error"]
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for one in records:
        if one.cost is not None:
            costs[one.currency] += one.cost
    return {
        "calls": len(records),
        "errors": len(records) - len(answered),
        "cancelled": sum(one.status == "cancelled" for one in records),
        "trial_calls": sum(one.source.startswith("trial:") for one in records),
        "counted": sum(
            one.prompt_tokens is not None or one.completion_tokens is not None for one in answered
        ),
        "prompt_tokens": sum(one.prompt_tokens or 0 for one in records),
        "completion_tokens": sum(one.completion_tokens or 0 for one in records),
        "images": sum(one.images or 0 for one in records),
        "credits": sum(one.credits for one in records),
        "unpriced": sum(one.cost is None for one in answered),
        "costs": dict(costs),
    }


def compare_rollups() -> None:
    """Hours and days each hold every call that was closed."""
    rolled = RolledUntil.objects.first()
    if rolled is None:
        assert not CallRecord.objects.exists()
        return
    until = rolled.until
    day = until.replace(hour=0, minute=0)
    for span, end in ((1, until), (24, day)):
        found = sum(
            UsageRollup.objects.filter(span=span, start__lt=end).values_list("calls", flat=True)
        )
        assert found == CallRecord.objects.filter(time__lt=end).count()


# -- notes of what came late -----------------------------------------------------------------------


@pytest.mark.django_db
def test_only_what_comes_late_notes_its_hour(tenant: Tenant) -> None:
    now = timezone.now()
    with tenant_scope(tenant):
        ledger.record_call(record_for(tenant, time=now - timedelta(minutes=59)))
        assert not StaleHour.objects.exists()
        late = now - timedelta(minutes=61)
        ledger.record_call(record_for(tenant, time=late))
        CallRecord.objects.create(
            tenant=tenant, request_id="x", operation="chat", status="ok", time=late
        )
        assert set(StaleHour.objects.values_list("start", flat=True)) == {
            late.replace(minute=0, second=0, microsecond=0)
        }
        assert StaleHour.objects.count() == 2


@pytest.mark.django_db
def test_what_is_recorded_in_time_is_summed_without_a_note(tenant: Tenant) -> None:
    now = timezone.now()
    with tenant_scope(tenant):
        ledger.record_call(record_for(tenant, time=now - timedelta(minutes=30)))
        assert roll_up(now=now).closed == 0
        assert roll_up(now=now + timedelta(hours=4)).closed == 1
        assert not StaleHour.objects.exists()
        assert UsageRollup.objects.get(span=1).calls == 1
        assert roll_up(now=now + timedelta(hours=4)) == rollups.Rolled(0, 0, True)


@pytest.mark.django_db
def test_a_look_is_bounded_and_goes_on_where_it_stopped(tenant: Tenant, other: Tenant) -> None:
    for owner in (tenant, other):
        with tenant_scope(owner):
            for number in range(4):
                ledger.record_call(record_for(owner, time=NOW - timedelta(hours=5 + number)))
    looks = []
    while not (rolled := rollups.roll_up(now=NOW, seconds=0)).done:
        looks.append(rolled.closed)
    assert looks == [1] * 8
    call_command("rollup_usage")
    for owner in (tenant, other):
        with tenant_scope(owner):
            assert UsageRollup.objects.filter(span=1).count() == 4
            assert summaries.totals(tenant_id=owner.pk, days=2, now=NOW).calls == 4


@pytest.mark.django_db
def test_many_stale_hours_cost_time_and_no_calls(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "MOST_GAPS", 3)
    with tenant_scope(tenant):
        for number in range(60):
            ledger.record_call(record_for(tenant, time=NOW - timedelta(hours=3 + number)))
        roll_up(now=NOW)
        for number in range(0, 60, 5):
            ledger.record_call(record_for(tenant, time=NOW - timedelta(hours=3 + number)))
        assert summaries.totals(tenant_id=tenant.pk, days=7, now=NOW).calls == 72
        assert (
            sum(row.calls for row in summaries.summary(tenant_id=tenant.pk, days=7, now=NOW).rows)
            == 72
        )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_concurrent_inserts_are_in_the_sums(tenant: Tenant) -> None:
    """Writers of late records and two that sum, side by side; at the end and in between nothing is
    missing or counted twice.
    """
    stop, problems, written = threading.Event(), [], []

    def write(seed: int) -> None:
        dice = random.Random(seed)
        try:
            with tenant_scope(tenant):
                for _number in range(60):
                    ledger.record_call(
                        record_for(
                            tenant,
                            time=NOW - timedelta(minutes=dice.randint(150, 900)),
                            cost=Decimal("0.1"),
                            currency="USD",
                        )
                    )
                    written.append(1)
        except Exception as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    def work(job: Any) -> None:
        try:
            while not stop.is_set():
                job()
        except Exception as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    def look() -> None:
        least = len(written)
        with tenant_scope(tenant):
            seen = summaries.totals(tenant_id=tenant.pk, days=3, now=NOW).calls
        assert least <= seen <= 180, (least, seen)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    others = [
        threading.Thread(target=work, args=(job,))
        for job in (lambda: roll_up(now=NOW), lambda: roll_up(now=NOW), look)
    ]
    for thread in [*writers, *others]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in others:
        thread.join()
    assert problems == []
    roll_up(now=NOW)
    with tenant_scope(tenant):
        assert not StaleHour.objects.exists()
        row = summaries.totals(tenant_id=tenant.pk, days=3, now=NOW)
        assert (row.calls, row.costs) == (180, [summaries.Cost("USD", Decimal("18.0"))])
        assert sum(UsageRollup.objects.filter(span=1).values_list("calls", flat=True)) == 180


# -- the histogram ---------------------------------------------------------------------------------


def bucket(milliseconds: int) -> int:
    """The number of a duration's bucket, told in another way than SQL does."""
    return bisect_left(latency_buckets.BOUNDS, milliseconds + 1)


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=60))
def test_the_median_is_near_the_true_one(durations: list[int]) -> None:
    counts = [0] * len(latency_buckets.COLUMNS)
    for one in durations:
        counts[bucket(one)] += 1
    found = latency_buckets.median(counts, min(durations), max(durations))
    ordered = sorted(durations)
    true = ordered[(len(ordered) - 1) // 2]
    low, high = latency_buckets.bounds_of(bucket(true))
    assert found is not None
    assert max(low, ordered[0]) <= found <= min(high or ordered[-1], ordered[-1])


def test_one_duration_is_its_own_median_and_nothing_has_none() -> None:
    counts = [0] * len(latency_buckets.COLUMNS)
    assert latency_buckets.median(counts, 0, 0) is None
    counts[bucket(2345)] = 1
    assert latency_buckets.median(counts, 2345, 2345) == 2345


@pytest.mark.django_db
def test_the_database_s_buckets_are_python_s(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        for one in {
            0,
            *latency_buckets.BOUNDS,
            *(bound - 1 for bound in latency_buckets.BOUNDS),
            999_999,
        }:
            ledger.record_call(record_for(tenant, time=NOW, latency_ms=one))
        row = summaries.totals(tenant_id=tenant.pk, days=1, now=NOW)
    expected = [0] * len(latency_buckets.COLUMNS)
    for one in {
        0,
        *latency_buckets.BOUNDS,
        *(bound - 1 for bound in latency_buckets.BOUNDS),
        999_999,
    }:
        expected[bucket(one)] += 1
    assert row.latencies == expected
    assert (row.fastest, row.slowest) == (0, 999_999)


@pytest.mark.django_db
def test_rollups_have_a_column_for_every_sum(tenant: Tenant) -> None:
    names = {field.column for field in UsageRollup._meta.concrete_fields}
    assert names == {"id", "tenant_id", "span", "start", *columns.GROUPS, *columns.ALL}
    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, UsageRollup._meta.db_table)
    assert "rollup_of_tenant" in indexes
