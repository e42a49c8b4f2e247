"""Hold, mark as sent, settle, void and reap credits with one SQL text for both databases. Pure."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.db.dialect import Dialect, read_json, read_time, read_uuid
from core.db.statements import Part, Rows, Statements, single, together
from quotas.ledger.records import TRIAL_RECORD, Record, record_values
from quotas.ledger.states import (
    EXPIRY_MARGIN_SECONDS,
    ExpiredHold,
    FinishResult,
    HoldRequest,
    HoldResult,
    HoldState,
    UnknownHold,
    UnknownPool,
)

# -- parts of steps --------------------------------------------------------------------------------


# Check the limit under the pool's row lock before inserting the hold: a refusal then has nothing to
# roll back.
POOL = Part(
    "pool",
    "SELECT id, tenant_id FROM quotas_creditpool WHERE id = {p} AND tenant_id = {p} "
    'AND settled + held + {p} <= "limit" {lock}',
    returns="id, tenant_id",
)
NEW = Part(
    "new",
    "INSERT INTO quotas_hold (id, tenant_id, pool_id, key, fingerprint, amount, used, state, "
    "reason, sent, model, request_id, facts, "
    "created, expires) SELECT {p}, pool.tenant_id, pool.id, {p}, {p}, {p}, 0, 'held', '', FALSE, "
    "{p}, {p}, {p}, {now}, {later} "
    "FROM pool WHERE TRUE ON CONFLICT (pool_id, key) DO NOTHING RETURNING pool_id, amount",
    reads="pool",
    returns="pool_id, amount",
)
TAKEN = Part(
    "taken",
    "UPDATE quotas_creditpool SET held = held + new.amount FROM new WHERE quotas_creditpool.id = "
    "new.pool_id "
    'RETURNING settled, held, "limit"',
    reads="new",
    returns='settled, held, "limit"',
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
    "UPDATE quotas_hold SET sent = TRUE WHERE id = {p} AND tenant_id = {p} AND state = 'held' "
    "RETURNING id",
)
DONE = Part(
    "done",
    "UPDATE quotas_hold SET state = {p}, used = COALESCE({p}, amount), reason = {p} "
    "WHERE id = {p} AND tenant_id = {p} AND state = 'held' RETURNING id, tenant_id, pool_id, "
    "amount, used",
    returns="id, tenant_id, pool_id, amount, used",
)
CHARGED = Part(
    "charged",
    "UPDATE quotas_creditpool SET held = held - done.amount, settled = settled + done.used FROM "
    "done "
    'WHERE quotas_creditpool.id = done.pool_id RETURNING settled, held, "limit"',
    reads="done",
    returns='settled, held, "limit"',
)
CURRENT = Part(
    "current",
    'SELECT hold.state, hold.used, pool.settled, pool.held, pool."limit" FROM quotas_hold AS hold '
    "JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id WHERE hold.id = {p} AND "
    "hold.tenant_id = {p}",
)

EXPIRED = Part(
    "expired",
    "SELECT hold.id, hold.tenant_id, hold.sent, hold.model, hold.request_id, hold.facts, "
    "hold.created, plan.slug, plan.provider "
    "FROM quotas_hold AS hold JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id JOIN "
    "quotas_trialplan AS plan ON plan.id = pool.plan_id "
    "WHERE hold.state = 'held' AND hold.expires < {now} ORDER BY hold.expires LIMIT 1 "
    "{skip_locked}",
    table="hold",
)


# -- steps -----------------------------------------------------------------------------------------


def hold(
    request: HoldRequest, dialect: Dialect, *, now: datetime | None = None
) -> Statements[HoldResult]:
    """Reserve credits.

    Args:
        now: Current time, for tests; the database's clock by default.

    Raises:
        UnknownPool: The tenant has no such pool.
    """
    if request.amount < 1:
        raise ValueError("a hold is at least 1 credit")
    expiry = dialect.seconds(request.deadline_seconds + EXPIRY_MARGIN_SECONDS)
    names = (request.fingerprint, request.amount, request.model, request.request_id, request.facts)
    parts = (
        (POOL, (request.pool_id, request.tenant_id, request.amount)),
        (NEW, (request.hold_id, request.key, *names, now, now, expiry)),
        (TAKEN, ()),
    )
    # Try again if credits were released between the refusal and reading the pool.
    for _attempt in range(3):
        taken = yield from together(parts, ("taken",), dialect)
        if taken:
            settled, held, limit = taken
            return HoldResult(
                HoldState.HELD, request.hold_id, settled, held, limit - settled - held
            )
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
    return bool((yield single(SENT, (hold_id, tenant_id), dialect)))


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
    return (yield from _finish("settled", used, hold_id, record, reason, dialect))


def void(
    *, hold_id: UUID, record: Record, reason: str, dialect: Dialect
) -> Statements[FinishResult]:
    """Release all held credits and write the record of the failed call.

    Do nothing if the hold is already finished.

    Raises:
        UnknownHold: The tenant has no such hold.
    """
    return (yield from _finish("voided", 0, hold_id, record, reason, dialect))


def _finish(
    state: str, used: int | None, hold_id: UUID, record: Record, reason: str, dialect: Dialect
) -> Statements[FinishResult]:
    parts = (
        (DONE, (state, used, reason[:60], hold_id, record.tenant_id)),
        (CHARGED, ()),
        (TRIAL_RECORD, record_values(record)),
    )
    finished = yield from together(parts, ("done", "charged"), dialect)
    if finished:
        charged, settled, held, limit = finished[-4:]
        return FinishResult(True, state, charged, settled, held, limit - settled - held)
    rows = yield single(CURRENT, (hold_id, record.tenant_id), dialect)
    if not rows:
        raise UnknownHold(hold_id)
    state, charged, settled, held, limit = rows[0]
    return FinishResult(False, state, charged, settled, held, limit - settled - held)


def next_expired(
    dialect: Dialect, *, now: datetime | None = None
) -> Statements[ExpiredHold | None]:
    """Lock and return the hold that expired first.

    Finish it in the same transaction: otherwise a worker that resumes in between could still mark
    it as sent.
    """
    rows = yield single(EXPIRED, (now,), dialect)
    if not rows:
        return None
    hold_id, tenant_id, sent, model, request_id, facts, created, plan, provider = rows[0]
    return ExpiredHold(
        hold_id=read_uuid(hold_id),
        tenant_id=read_uuid(tenant_id),
        sent=bool(sent),
        model=model,
        request_id=request_id,
        facts=read_json(facts),
        created=read_time(created),
        plan=plan,
        provider=provider,
    )
