"""Calls that are too old are archived, then deleted: usage and credits add up as before, of each
workspace, whatever comes late and wherever a run is interrupted.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, transaction
from django.utils import timezone

from core.times import floor_hour
from quotas.ledger.invariants import audit
from quotas.models import (
    CallRecord,
    CostCorrection,
    CreditPool,
    Hold,
    Rating,
    SealedCredits,
    StaleHour,
)
from quotas.rating import store
from quotas.retention import calls as retention
from quotas.retention import drop, sealed
from quotas.retention.calls import prune_calls
from quotas.usage import rollups, summaries, totals
from tenants.archives import chain
from tenants.archives.files import ArchiveError
from tenants.models import Archive, AuditEntry, Tenant
from tenants.scope import all_tenants, tenant_scope
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
JULY = datetime(2026, 7, 15, 8, 30, tzinfo=UTC)
KEPT = datetime(2026, 9, 1, tzinfo=UTC)  # the start of what 60 days keep on the day of NOW
DAYS = 200


@pytest.fixture(autouse=True)
def limit(settings: Any, tmp_path: Path) -> None:
    settings.MODELKEEP_KEEP_CALL_DAYS = 60
    settings.MODELKEEP_ARCHIVE_DIR = str(tmp_path / "archives")


def call(tenant: Tenant, time: datetime, pool: CreditPool | None = None, **fields: Any) -> None:
    record = record_for(tenant, time=time, cost=Decimal("0.25"), currency="USD", **fields)
    if pool is None:
        ledger.record_call(record)
        return
    hold = ledger.hold(request_for(pool, key=str(record.id)))
    ledger.settle(hold_id=hold.hold_id, record=record)


@pytest.fixture
def furnished(tenant: Tenant, other: Tenant) -> None:
    """Two workspaces with own calls and trials in three months, one of which is kept."""
    for owner in (tenant, other):
        pool = make_pool(owner, limit=20)
        for number, time in enumerate((JULY, JULY + timedelta(days=30), KEPT, NOW)):
            for minutes in (0, 5, 70):
                call(owner, time + timedelta(minutes=minutes), model=f"m{number % 2}")
            call(owner, time, pool, status="error" if number == 1 else "ok")


def usage(tenant: Tenant) -> list[Any]:
    with tenant_scope(tenant):
        return [
            summaries.totals(tenant_id=tenant.pk, days=DAYS, now=NOW),
            sorted(  # the database gives groups in any order
                totals.add_up(
                    tenant_id=tenant.pk,
                    of=totals.plan(
                        totals.rollup_state(tenant_id=tenant.pk), JULY - timedelta(days=1)
                    ),
                    by=("model", "status"),
                ),
                key=repr,
            ),
        ]


def times(tenant: Tenant) -> list[datetime]:
    with all_tenants():
        rows = CallRecord.objects.filter(tenant=tenant).order_by("time")
        return list(rows.values_list("time", flat=True))


def prune() -> int | None:
    return prune_calls(now=NOW, pause=0)


@pytest.mark.usefixtures("furnished")
def test_whole_months_go_and_everything_adds_up(
    tenant: Tenant, other: Tenant, settings: Any
) -> None:
    before = [usage(owner) for owner in (tenant, other)]
    assert prune() == 16
    assert [usage(owner) for owner in (tenant, other)] == before
    assert audit(now=NOW) == []
    assert times(tenant) == times(other)
    assert times(tenant)[0] == KEPT
    with all_tenants():
        assert Hold.objects.count() == 4
        sealed = SealedCredits.objects.order_by("month").values_list("month", "calls", "credits")
        assert {(month.month, *rest) for month, *rest in sealed} == {(7, 1, 1), (8, 1, 1)}
        assert sealed.count() == 4
    assert [archive.rows for archive in Archive.objects.order_by("number")] == [8, 8]
    assert prune() == 0
    settings.MODELKEEP_KEEP_CALL_DAYS = 0
    assert prune_calls(now=NOW + timedelta(days=4000)) is None


@pytest.mark.usefixtures("furnished")
def test_an_archive_holds_whole_calls_with_their_holds_and_names_the_one_before() -> None:
    with all_tenants():
        trial = CallRecord.objects.filter(time__lt=KEPT).exclude(hold=None).order_by("time")[0]
        hold = trial.hold
    prune()
    first, second = Archive.objects.order_by("number")
    lines = [
        list(map(orjson.loads, gzip.decompress(data).splitlines()))
        for data in ((chain.folder() / archive.file).read_bytes() for archive in (first, second))
    ]
    assert [(head["number"], head["previous"]) for head, *_rows in lines] == [
        (1, ""),
        (2, first.sha256),
    ]
    [row] = [row for row in lines[0] if row.get("id") == str(trial.pk)]
    assert (row["tenant_id"], row["credits"], row["cost"]) == (
        str(trial.tenant_id),
        1,
        "0.2500000000",
    )
    assert datetime.fromisoformat(row["time"]) == trial.time
    assert (row["hold"]["key"], row["hold"]["used"]) == (hold.key, 1)
    assert (chain.folder() / first.file).stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_charts_keep_their_history(tenant: Tenant, zone: str) -> None:
    with timezone.override(ZoneInfo(zone)), tenant_scope(tenant):
        before = summaries.usage(tenant_id=tenant.pk, days=DAYS, now=NOW)
        prune()
        assert summaries.usage(tenant_id=tenant.pk, days=DAYS, now=NOW) == before


@pytest.mark.usefixtures("furnished")
def test_the_database_deletes_no_other_record(tenant: Tenant) -> None:
    prune()
    kept = len(times(tenant))
    with all_tenants():
        for rows in (CallRecord.objects.all(), CallRecord.objects.filter(tenant=tenant)):
            with pytest.raises(DatabaseError, match="call records are final"), transaction.atomic():
                rows.delete()
    assert len(times(tenant)) == kept


@pytest.mark.usefixtures("furnished")
def test_a_call_that_comes_after_its_month_went_is_added_once(
    tenant: Tenant, other: Tenant
) -> None:
    prune()
    [before, rest] = usage(tenant)
    foreign = usage(other)
    with all_tenants():
        pool = CreditPool.objects.get(tenant=tenant)
    for late in (JULY, JULY + timedelta(minutes=70), JULY + timedelta(days=3)):
        call(tenant, late, pool)
    rollups.roll_up(now=NOW)  # which must not replace the pruned hours' rollups
    assert usage(tenant) == [before, rest]
    assert audit(now=NOW) == []
    assert prune() == 3
    for _time in range(2):
        assert usage(tenant)[0].calls == before.calls + 3
        assert usage(tenant)[0].credits == before.credits + 3
        assert prune() == 0
        rollups.roll_up(now=NOW)
    assert usage(other) == foreign
    assert audit(now=NOW) == []
    with all_tenants():
        assert not StaleHour.objects.filter(start__lt=KEPT).exists()


@pytest.mark.usefixtures("furnished")
def test_calls_that_come_while_a_month_is_archived_wait_for_the_next_archive(
    tenant: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[datetime] = [JULY + timedelta(minutes=2)]
    original = retention.chain.add

    def add(*args: Any) -> Archive | None:
        archive = original(*args)
        if late:
            call(tenant, late.pop())
        return archive

    monkeypatch.setattr(retention.chain, "add", add)
    assert prune() == 17
    assert usage(tenant)[0].calls == usage(other)[0].calls + 1
    assert times(tenant)[0] == KEPT
    assert audit(now=NOW) == []
    assert Archive.objects.count() == 3


@pytest.mark.usefixtures("furnished")
def test_an_interrupted_run_is_continued(
    tenant: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [usage(owner) for owner in (tenant, other)]
    monkeypatch.setattr(drop, "BATCH", 1)
    original, left = drop._delete, [3]

    def delete(*args: Any) -> int:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(drop, "_delete", delete)
        with pytest.raises(KeyboardInterrupt):
            prune()
    assert [usage(owner) for owner in (tenant, other)] == before
    assert audit(now=NOW) == []
    assert prune() == 16 - 4
    assert [usage(owner) for owner in (tenant, other)] == before
    assert audit(now=NOW) == []
    assert [archive.rows for archive in Archive.objects.order_by("number")] == [8, 8]


Damage = Callable[[Path], Any]


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "was changed"),
    ],
)
def test_nothing_is_deleted_that_no_archive_holds(
    tenant: Tenant, damage: Damage, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, original = times(tenant), chain.add

    def add(*args: Any) -> Archive | None:
        archive = original(*args)
        assert archive is not None
        damage(chain.folder() / archive.file)
        return archive

    monkeypatch.setattr(retention.chain, "add", add)
    for _run in range(2):
        with pytest.raises(ArchiveError, match=says):
            prune()
    assert times(tenant) == before
    assert chain.verify() == (1, [chain.problem_of(Archive.objects.get())])


@pytest.mark.usefixtures("furnished")
def test_a_call_that_differs_from_its_hold_stays_for_the_audit(tenant: Tenant) -> None:
    with all_tenants():
        Hold.objects.filter(record__time__lt=KEPT, tenant=tenant).update(used=0)
    before = [violation.message for violation in audit(now=NOW)]
    assert before
    with pytest.raises(ArchiveError, match="do not match their holds"):
        prune()
    assert [violation.message for violation in audit(now=NOW)] == before


@pytest.mark.usefixtures("furnished")
def test_sealed_credits_are_compared_with_the_archives(tenant: Tenant) -> None:
    prune()
    assert sealed.problems() == []
    with all_tenants():
        SealedCredits.objects.filter(tenant=tenant, month__month=7).update(credits=5)
        SealedCredits.objects.filter(tenant=tenant, month__month=8).delete()
        pool = CreditPool.objects.get(tenant=tenant).pk
    assert sealed.problems() == [
        f"Pool {pool}, 2026-07: 1 calls and 5 credits are sealed, but 1 and 1 archived.",
        f"Pool {pool}, 2026-08: 1 calls are archived, but none is sealed.",
    ]
    assert {violation.invariant for violation in audit(now=NOW)} == {"I3"}


def test_a_corrected_call_is_archived_with_its_correction(tenant: Tenant) -> None:
    call(tenant, JULY)
    with tenant_scope(tenant):
        record = CallRecord.objects.get()
        rating = Rating.objects.create(tenant=tenant, since=JULY, before=NOW, actor="command")
        made = store.Corrected(record.pk, JULY, None, Decimal("0.75"), "EUR", "v")
        store.insert(tenant.pk, rating.pk, [made])
        store.mark_stale(tenant.pk, {floor_hour(JULY)})
    before = usage(tenant)
    assert prune_calls(now=NOW) == 1
    assert usage(tenant) == before
    [archive] = Archive.objects.all()
    [row] = chain.rows_of(archive)
    correction = row["correction"]
    assert (correction["currency"], Decimal(correction["cost"])) == ("EUR", Decimal("0.75"))
    with tenant_scope(tenant):
        assert not CostCorrection.objects.exists()


@pytest.mark.usefixtures("furnished")
def test_a_workspace_may_keep_its_calls_for_a_shorter_time(
    tenant: Tenant, other: Tenant, settings: Any
) -> None:
    settings.MODELKEEP_KEEP_CALL_DAYS = 0
    before = [usage(owner) for owner in (tenant, other)]
    kept = times(other)
    call_command("keep_calls", tenant.slug, "5", verbosity=0)
    assert prune() == 12
    assert times(tenant)[0] == NOW
    assert times(other) == kept
    assert [usage(owner) for owner in (tenant, other)] == before
    settings.MODELKEEP_KEEP_CALL_DAYS = 60
    assert prune() == 8
    assert times(other)[0] == KEPT
    assert audit(now=NOW) == []
    assert sealed.problems() == []
    with tenant_scope(tenant):
        [entry] = AuditEntry.objects.filter(action="workspace.call_days_changed")
        assert entry.details == {"before": 0, "days": 5}
    call_command("keep_calls", tenant.slug, "0", verbosity=0)
    with pytest.raises(CommandError, match="1 to"):
        call_command("keep_calls", tenant.slug, "-1", verbosity=0)
