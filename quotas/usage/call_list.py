"""The call log: newest first, filtered and paginated, or complete for an export.

All functions need an active tenant scope. A selective filter would have to scan all of a tenant's
records; the rollups tell which hours contain matching calls, so only those hours are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import EPOCH, HOUR, floor_hour
from quotas.models import CallRecord
from quotas.usage import corrected, totals
from quotas.usage.totals import RollupState

Calls = QuerySet[CallRecord, Any]
BATCH: Final = 2000  # rows per query of an export
END: Final = datetime(9999, 1, 1, tzinfo=UTC)


def of_tenant(tenant_id: UUID) -> Calls:
    return corrected.joined(CallRecord.objects.filter(tenant_id=tenant_id))


def call(*, tenant_id: UUID, pk: UUID) -> CallRecord | None:
    """Return the call record with this id, or None if the tenant has no such record."""
    row = of_tenant(tenant_id).filter(pk=pk).select_related("hold").first()
    return row if row is None else corrected.apply([row])[0]


def calls(
    *,
    tenant_id: UUID,
    after: UUID | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    request_id: str | None = None,
    limit: int = 50,
    rollup_state: RollupState | None = None,
    **filters: str | None,
) -> list[CallRecord]:
    """Return the newest call records, newest first.

    Takes one query, up to three with filters, and one more with `after`.

    Args:
        after: Id of the last record of the previous page; an unknown id returns no records.
        since: Earliest time of a call.
        before: Time by which calls must have started, exclusive.
        limit: Most records to return.
        rollup_state: The state of the rollups, if already loaded for the period.
        filters: Model (name or "provider/model"), source ("trial", "credential" or a
            single source such as "trial:openai"), provider, app_key (name), status, error_code.
    """
    rows = _in_period(of_tenant(tenant_id), since, before)
    cursor = None
    if after is not None:
        last = of_tenant(tenant_id).filter(pk=after).values_list("time", flat=True).first()
        if last is None:
            return []
        cursor = (last, after)
        rows = _beyond(rows, *cursor)
    conditions = filters_of(**filters)
    if request_id:
        records = _matching(rows.filter(pk__in=_of_request(tenant_id, request_id)), conditions)
        return sorted(
            corrected.apply(records), key=lambda record: (record.time, record.pk), reverse=True
        )[:limit]
    if conditions:
        return _newest(
            tenant_id, conditions, (since or EPOCH, before or END), cursor, limit, rollup_state
        )
    return corrected.apply(rows.order_by("-time", "-id")[:limit])


def _of_request(tenant_id: UUID, request_id: str) -> list[Any]:
    """Return the ids of the tenant's records of a request.

    Clients may choose request ids, so several requests and tenants can share one.
    """
    tenant = dialect().unindexed.format(column="tenant_id")
    sql = f"SELECT id FROM quotas_callrecord WHERE request_id = %s AND {tenant} = %s"  # noqa: S608
    return [pk for (pk,) in execute(sql, values([request_id, tenant_id]))]


def filters_of(
    *,
    model: str | None = None,
    source: str | None = None,
    provider: str | None = None,
    app_key: str | None = None,
    status: str | None = None,
    error_code: str | None = None,
) -> dict[str, str]:
    """Return the filters that are not empty, as `totals.where` takes them."""
    is_kind = source in ("trial", "credential")
    filters = {
        "any_model": model,
        "source_kind" if is_kind else "source": source,
        "provider": provider,
        "app_key_name": app_key,
        "status": status,
        "error_code": error_code,
    }
    return {name: value for name, value in filters.items() if value}


def _in_period(rows: Calls, since: datetime | None, before: datetime | None) -> Calls:
    rows = rows if since is None else rows.filter(time__gte=since)
    return rows if before is None else rows.filter(time__lt=before)


def _beyond(rows: Calls, time: datetime, pk: UUID) -> Calls:
    """Return the records that follow a record in the log's order."""
    return rows.filter(time__lte=time).filter(Q(time__lt=time) | Q(pk__lt=pk))


def _matching(rows: Calls, filters: Mapping[str, str]) -> Calls:
    for name, value in filters.items():
        if name == "source_kind":
            rows = rows.filter(source__startswith=f"{value}:")
        elif name == "any_model":
            owner, _slash, rest = value.partition("/")
            rows = rows.filter(Q(model=value) | Q(provider=owner, model=rest))
        else:
            rows = rows.filter(**{name: value})
    return rows


# -- filters ---------------------------------------------------------------------------------------


def _newest(
    tenant_id: UUID,
    filters: Mapping[str, str],
    period: totals.Range,
    cursor: tuple[datetime, UUID] | None,
    limit: int,
    rollup_state: RollupState | None,
) -> list[CallRecord]:
    """Return the newest matching records.

    Args:
        cursor: Time and id of the last record of the previous page.
    """
    if totals.is_foreign(tenant_id):
        return []
    since, before = period
    condition, params = totals.where(filters)
    pieces: list[str] = []
    arguments: list[Any] = []
    ranges: list[totals.Range] = []
    if cursor is not None:
        # Always read the cursor's own hour: its rollup also counts records of earlier pages.
        hour = floor_hour(cursor[0])
        ranges, before = [(max(since, hour), min(before, hour + HOUR))], min(before, hour)
    if since < before:
        ranges += _where_to_look(tenant_id, filters, since, before, limit, rollup_state)
    for start, end in ranges:
        piece = (
            "SELECT * FROM quotas_callrecord "  # noqa: S608
            f"WHERE tenant_id = %s AND time >= %s AND time < %s{condition}"
        )
        arguments += [tenant_id, start, end, *params]
        if cursor is not None and end > cursor[0]:
            piece += " AND time <= %s AND (time < %s OR id < %s)"
            arguments += [cursor[0], *cursor]
        newest = f"{piece} ORDER BY time DESC, id DESC LIMIT {limit:d}"
        pieces.append(f"SELECT * FROM ({newest}) AS piece")  # noqa: S608
    if not pieces:
        return []
    newest = f"{' UNION ALL '.join(pieces)} ORDER BY time DESC, id DESC LIMIT {limit:d}"
    sql = corrected.JOIN.format(records=newest)
    return corrected.apply(CallRecord.objects.raw(sql, values(arguments)))


def _where_to_look(
    tenant_id: UUID,
    filters: Mapping[str, str],
    since: datetime,
    before: datetime,
    limit: int,
    rollup_state: RollupState | None,
) -> list[totals.Range]:
    """Return time ranges that contain the newest `limit` matching records."""
    rollup_state = rollup_state or totals.rollup_state(
        tenant_id=tenant_id, since=since, before=before
    )
    plan = totals.plan(rollup_state, since, before)
    unsummed: list[totals.Range] = [(start, end or before) for start, end in plan.records]
    if not plan.hours and not plan.days:
        return unsummed
    first = min(start for start, _end in (*plan.hours, *plan.days))
    last = max(end for _start, end in (*plan.hours, *plan.days))
    condition, params = totals.where(filters)
    sql = (
        "SELECT start, SUM(calls) FROM quotas_usagerollup "  # noqa: S608
        "WHERE tenant_id = %s AND span = 1 AND start >= %s AND start < %s"
        f"{condition} GROUP BY start ORDER BY start DESC LIMIT {limit + len(plan.apart):d}"
    )
    hours, matches = set(), 0
    for value, number in execute(sql, values([tenant_id, first, last, *params])):
        start = read_time(value)
        if start not in plan.apart:
            hours.add(start)
            matches += int(number)
        if matches >= limit:
            # Older records cannot be among the newest `limit`.
            unsummed = [(max(begin, start), end) for begin, end in unsummed if end > start]
            break
    return [*unsummed, *totals.ranges(hours)]


# -- export ----------------------------------------------------------------------------------------


def every_call(
    *,
    tenant_id: UUID,
    since: datetime | None = None,
    before: datetime | None = None,
    request_id: str | None = None,
    **filters: str | None,
) -> Iterator[list[CallRecord]]:
    """Yield all matching call records, newest first, in lists of at most BATCH.

    Each list is a separate query, so that no transaction stays open while a client reads slowly
    and memory use stays constant.
    """
    rows = _matching(_in_period(of_tenant(tenant_id), since, before), filters_of(**filters))
    if request_id:
        records = sorted(
            corrected.apply(rows.filter(pk__in=_of_request(tenant_id, request_id))),
            key=lambda record: (record.time, record.pk),
            reverse=True,
        )
        if records:
            yield records
        return
    rows = rows.order_by("-time", "-id")
    batch = corrected.apply(rows[:BATCH])
    while batch:
        yield batch
        if len(batch) < BATCH:
            return
        batch = corrected.apply(_beyond(rows, batch[-1].time, batch[-1].pk)[:BATCH])
