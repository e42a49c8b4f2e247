"""Hold, mark as sent, settle and void credits with one SQL text for both databases. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from core.db.dialect import Dialect, read_uuid
from core.db.statements import Given, Part, Rows, Statements, single, together
from quotas.ledger.records import ENDED, TRIAL_RECORD, Record, record_values
from quotas.ledger.states import (
    EXPIRY_MARGIN_SECONDS,
    Finish,
    FinishResult,
    HoldRequest,
    HoldResult,
    HoldState,
    Mark,
    UnknownHold,
    UnknownPool,
)

# -- parts of steps --------------------------------------------------------------------------------

# Whatever locks pools and holds locks the pools first, in the order of their ids. So no two
# transactions wait for each other.
REQUESTS = Given(
    "requests",
    (
        ("number", "bigint"),
        ("hold_id", "uuid"),
        ("tenant_id", "uuid"),
        ("pool_id", "bigint"),
        ("key", "text"),
        ("fingerprint", "text"),
        ("amount", "bigint"),
        ("model", "text"),
        ("request_id", "text"),
        ("facts", "jsonb"),
        ("seconds", "float8"),
    ),
)
ENDS = Given(
    "ends",
    (
        ("hold_id", "uuid"),
        ("tenant_id", "uuid"),
        ("state", "text"),
        ("used", "bigint"),
        ("reason", "text"),
    ),
)
MARKS = Given("marks", (("hold_id", "uuid"), ("tenant_id", "uuid")))

POOLS = Part(
    "pools",
    'SELECT id, tenant_id, "limit" - settled - held AS free FROM quotas_creditpool '
    "WHERE id IN (SELECT pool_id FROM requests) ORDER BY id {lock}",
    reads=("requests",),
    returns=("id", "tenant_id", "free"),
)
# First come, first served: a request fits if all before it and it itself do.
NEW = Part(
    "new",
    "INSERT INTO quotas_hold (id, tenant_id, pool_id, key, fingerprint, amount, used, state, "
    "reason, sent, model, request_id, facts, created, expires) "
    "SELECT running.hold_id, pools.tenant_id, pools.id, running.key, running.fingerprint, "
    "running.amount, 0, 'held', '', FALSE, running.model, running.request_id, running.facts, "
    "{now}, {later} FROM (SELECT requests.*, SUM(amount) OVER (PARTITION BY pool_id "
    "ORDER BY number) AS total FROM requests) AS running JOIN pools ON pools.id = running.pool_id "
    "AND pools.tenant_id = running.tenant_id WHERE running.total <= pools.free "
    "ORDER BY running.number ON CONFLICT (pool_id, key) DO NOTHING RETURNING id, pool_id, amount",
    reads=("requests", "pools"),
    returns=("id", "pool_id", "amount"),
    seconds="running.seconds",
)
TAKEN = Part(
    "taken",
    "UPDATE quotas_creditpool SET held = held + sums.amount FROM (SELECT pool_id, SUM(amount) AS "
    "amount FROM new GROUP BY pool_id) AS sums WHERE quotas_creditpool.id = sums.pool_id "
    'RETURNING id AS pool_id, settled, held, "limit"',
    reads=("new",),
    returns=("pool_id", "settled", "held", '"limit"'),
)
EXISTING = Part(
    "existing",
    'SELECT pool.settled, pool.held, pool."limit", '
    "hold.id, hold.fingerprint, hold.state, hold.used FROM quotas_creditpool AS pool "
    "LEFT JOIN quotas_hold AS hold ON hold.pool_id = pool.id AND hold.key = {p} "
    "WHERE pool.id = {p} AND pool.tenant_id = {p}",
)
SENT = Part(
    "sent",
    "UPDATE quotas_hold SET sent = TRUE FROM marks WHERE quotas_hold.id = marks.hold_id AND "
    "quotas_hold.tenant_id = marks.tenant_id AND quotas_hold.state = 'held' "
    "RETURNING quotas_hold.id",
    reads=("marks",),
    returns=("id",),
)
OWNERS = Part(
    "owners",
    "SELECT id FROM quotas_creditpool WHERE id IN (SELECT hold.pool_id FROM quotas_hold AS hold "
    "JOIN ends ON ends.hold_id = hold.id) ORDER BY id {lock}",
    reads=("ends",),
    returns=("id",),
)
# Counting the owners makes PostgreSQL lock all of them before the first hold.
DONE = Part(
    "done",
    "UPDATE quotas_hold SET state = ends.state, used = COALESCE(ends.used, amount), "
    "reason = ends.reason FROM ends, owners WHERE quotas_hold.id = ends.hold_id "
    "AND quotas_hold.tenant_id = ends.tenant_id AND quotas_hold.pool_id = owners.id "
    "AND quotas_hold.state = 'held' AND (SELECT COUNT(*) FROM owners) > 0 "
    "RETURNING quotas_hold.id, quotas_hold.tenant_id, pool_id, "
    "amount, quotas_hold.used",
    reads=("ends", "owners"),
    returns=("id", "tenant_id", "pool_id", "amount", "used"),
)
CHARGED = Part(
    "charged",
    "UPDATE quotas_creditpool SET held = held - sums.amount, settled = settled + sums.used "
    "FROM (SELECT pool_id, SUM(amount) AS amount, SUM(used) AS used FROM done GROUP BY pool_id) "
    "AS sums WHERE quotas_creditpool.id = sums.pool_id "
    'RETURNING id AS pool_id, settled, held, "limit"',
    reads=("done",),
    returns=("pool_id", "settled", "held", '"limit"'),
)
CURRENT = Part(
    "current",
    'SELECT hold.state, hold.used, pool.settled, pool.held, pool."limit" FROM quotas_hold AS hold '
    "JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id WHERE hold.id = {p} AND "
    "hold.tenant_id = {p}",
)


# -- steps for many calls --------------------------------------------------------------------------


def hold_all(
    requests: Sequence[HoldRequest], dialect: Dialect, *, now: datetime | None = None
) -> Statements[dict[UUID, HoldResult]]:
    """Reserve credits for as many requests as fit, in their order.

    Args:
        now: Current time, for tests; the database's clock by default.

    Returns:
        The results of those that are held, by the ids of the holds. A single one of the others may
        still fit: `hold` tries it and tells why not.
    """
    rows = [
        (
            number,
            request.hold_id,
            request.tenant_id,
            request.pool_id,
            request.key,
            request.fingerprint,
            request.amount,
            request.model,
            request.request_id,
            request.facts,
            dialect.seconds(request.deadline_seconds + EXPIRY_MARGIN_SECONDS),
        )
        for number, request in enumerate(requests)
    ]
    if any(request.amount < 1 for request in requests):
        raise ValueError("a hold is at least 1 credit")
    parts = ((POOLS, ()), (NEW, (now, now)), (TAKEN, ()))
    held = yield from together([(REQUESTS, rows)], parts, ("new", "taken"), dialect, by="pool_id")
    results = {}
    for new_id, *_, settled, taken, limit in held:
        hold_id = read_uuid(new_id)
        left = limit - settled - taken
        results[hold_id] = HoldResult(HoldState.HELD, hold_id, settled, taken, left)
    return results


def mark_all(marks: Sequence[Mark], dialect: Dialect) -> Statements[set[UUID]]:
    """Note that the providers may process some requests, before they are sent.

    Returns:
        The ids of the holds that are not finished yet. Do not send the others' requests.
    """
    rows = [(mark.hold_id, mark.tenant_id) for mark in marks]
    marked = yield from together([(MARKS, rows)], [(SENT, ())], ("sent",), dialect)
    return {read_uuid(hold_id) for (hold_id,) in marked}


def finish_all(ends: Sequence[Finish], dialect: Dialect) -> Statements[dict[UUID, FinishResult]]:
    """Settle or void holds, each at most once in `ends`, and write their calls' records.

    A database constraint rejects charging more than was held.

    Returns:
        The results of those that were not finished yet, by the ids of the holds.
    """
    rows = [
        (
            end.hold_id,
            end.record.tenant_id,
            "voided" if end.voided else "settled",
            0 if end.voided else end.used,
            end.reason[:60],
        )
        for end in ends
    ]
    records = [(end.hold_id, *record_values(end.record)) for end in ends]
    parts = ((OWNERS, ()), (DONE, ()), (TRIAL_RECORD, ()), (CHARGED, ()))
    done = yield from together(
        [(ENDS, rows), (ENDED, records)], parts, ("done", "charged"), dialect, by="pool_id"
    )
    states = {row[0]: row[2] for row in rows}
    results = {}
    for done_id, _, _, _, used, _, settled, held, limit in done:
        hold_id = read_uuid(done_id)
        results[hold_id] = FinishResult(
            True, states[hold_id], used, settled, held, limit - settled - held
        )
    return results


# -- steps of one call -----------------------------------------------------------------------------


def hold(
    request: HoldRequest, dialect: Dialect, *, now: datetime | None = None
) -> Statements[HoldResult]:
    """Reserve credits, or tell why not.

    Args:
        now: Current time, for tests; the database's clock by default.

    Raises:
        UnknownPool: The tenant has no such pool.
    """
    # Try again if credits were released between the refusal and reading the pool.
    for _attempt in range(3):
        held = yield from hold_all([request], dialect, now=now)
        if held:
            return held[request.hold_id]
        refusal = _refusal(
            (yield single(EXISTING, (request.key, request.pool_id, request.tenant_id), dialect)),
            request,
        )
        if refusal.state is not HoldState.EXHAUSTED or refusal.left < request.amount:
            break
    return refusal


def _refusal(rows: Rows, request: HoldRequest) -> HoldResult:
    if not rows:
        raise UnknownPool(request.pool_id)
    settled, held, limit, hold_id, fingerprint, state, used = rows[0]
    left = limit - settled - held
    if hold_id is None:
        return HoldResult(HoldState.EXHAUSTED, None, settled, held, left)
    verdict = HoldState.IN_PROGRESS if state == "held" else HoldState.DONE
    if fingerprint != request.fingerprint:
        verdict = HoldState.MISMATCH
    return HoldResult(verdict, read_uuid(hold_id), settled, held, left, used)


def mark_sent(*, tenant_id: UUID, hold_id: UUID, dialect: Dialect) -> Statements[bool]:
    """Note, before sending the request, that the provider may process it.

    Returns:
        False if the hold is already finished: do not send the request.
    """
    return bool((yield from mark_all([Mark(tenant_id, hold_id)], dialect)))


def settle(
    *, hold_id: UUID, record: Record, used: int | None = None, reason: str = "", dialect: Dialect
) -> Statements[FinishResult]:
    """Charge for a call, release the remaining credits and write the record.

    Do nothing if the hold is already finished. A database constraint rejects charging more than
    was held.

    Args:
        used: Credits to charge; None charges all that were held.

    Raises:
        UnknownHold: The tenant has no such hold.
    """
    return (yield from finish(Finish(record, hold_id, used=used, reason=reason), dialect))


def void(
    *, hold_id: UUID, record: Record, reason: str, dialect: Dialect
) -> Statements[FinishResult]:
    """Release all held credits and write the record of the failed call.

    Do nothing if the hold is already finished.

    Raises:
        UnknownHold: The tenant has no such hold.
    """
    return (yield from finish(Finish(record, hold_id, voided=True, reason=reason), dialect))


def finish(end: Finish, dialect: Dialect) -> Statements[FinishResult]:
    """Settle or void a hold, unless it is already finished.

    Raises:
        UnknownHold: The tenant has no such hold.
    """
    assert end.hold_id is not None
    finished = yield from finish_all([end], dialect)
    if finished:
        return finished[end.hold_id]
    rows = yield single(CURRENT, (end.hold_id, end.record.tenant_id), dialect)
    if not rows:
        raise UnknownHold(end.hold_id)
    state, charged, settled, held, limit = rows[0]
    return FinishResult(False, state, charged, settled, held, limit - settled - held)
