"""The SQL of the credit ledger: hold, mark as sent, settle, void, record. Pure; one text for both databases and both executors.

Each step is a generator of `Query` that ends in a result (core/db/steps.py). Django's connection runs it in services.py, the data
plane's own connections run it in gateway/store.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID, uuid4

from core.db.steps import Part, Rows, Steps, single, together
from core.db.values import Dialect, read_json, read_time, read_uuid
from tenants.ids import uuid7

EXPIRY_MARGIN_SECONDS = 60  # a hold expires this long after the call's total deadline

# -- what goes in and comes out ---------------------------------------------------------------------------------------


class HoldState(StrEnum):
    HELD = "held"  # the credits are reserved; call the provider
    IN_PROGRESS = "repeat_in_progress"  # the same request under the same key is being worked on: 409 in_progress
    DONE = "repeat_done"  # ... is finished: 409 already_done, `used` says what it cost
    MISMATCH = "mismatch"  # the key was used for another request: 422
    EXHAUSTED = "exhausted"  # too few credits left: 402 trial_exhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """Credits to reserve for one call.

    key: the client's Idempotency-Key (at most 255 characters) or the request id. fingerprint: SHA-256 of the request, hex; a repeat
    has the same one. amount: credits, at least 1. deadline_seconds: total time the call may take.
    facts: what the call record shall say if this process dies (fields of `Record`: operation, app_key_id, ...).
    """

    tenant_id: UUID
    pool_id: int
    key: str
    fingerprint: str
    amount: int
    model: str
    request_id: str
    deadline_seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    hold_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class HoldResult:
    """What became of a hold: the state, the hold's id (None when exhausted), the pool's credits, what a finished repeat cost."""

    state: HoldState
    hold_id: UUID | None
    settled: int
    held: int
    left: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class FinishResult:
    """What settling or voiding did.

    applied: False where the hold was finished already (nothing was written); state, used: how the hold stands now;
    settled, held, left: the pool's credits.
    """

    applied: bool
    state: str
    used: int
    settled: int
    held: int
    left: int


@dataclass(frozen=True, slots=True)
class ExpiredHold:
    """A hold past its expiry that nobody finished, with what its call record can say."""

    hold_id: UUID
    tenant_id: UUID
    sent: bool
    model: str
    request_id: str
    facts: Mapping[str, Any]
    created: datetime
    plan: str
    provider: str


class UnknownPool(LookupError):
    """No such pool in this tenant."""


class UnknownHold(LookupError):
    """No such hold in this tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One finished call, as the ledger keeps it: the columns of CallRecord but `hold` and `credits`, which the step itself fills in.

    time: when the call came in, aware. Tokens None: not known. cost None: unpriced, never 0. latency_ms, first_token_ms: milliseconds.
    http_status: what the client was answered, 0 where that is not known. id makes writing twice harmless.
    """

    tenant_id: UUID
    request_id: str
    operation: str
    status: Literal["ok", "error", "cancelled"]
    id: UUID = field(default_factory=uuid7)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    app_key_id: UUID | None = None
    app_key_name: str = ""
    user_id: int | None = None
    scenario: str = ""
    provider: str = ""
    model: str = ""
    source: str = ""
    credential_id: UUID | None = None
    stream: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    usage_source: Literal["reported", "estimated", "none"] = "none"
    cost: Decimal | None = None
    currency: str = ""
    http_status: int = 200
    error_code: str = ""
    finish_reason: str = ""
    attempts: int = 1
    attempt_log: Sequence[Mapping[str, Any]] = ()
    latency_ms: int = 0
    first_token_ms: int | None = None


# -- parts of steps ---------------------------------------------------------------------------------------------------


# The guard is checked under the row's lock and before the hold is written, so that a refusal leaves nothing to roll back.
POOL = Part(
    "pool",
    'SELECT id, tenant_id FROM quotas_creditpool WHERE id = {p} AND tenant_id = {p} AND settled + held + {p} <= "limit" {lock}',
    returns="id, tenant_id",
)
NEW = Part(
    "new",
    "INSERT INTO quotas_hold (id, tenant_id, pool_id, key, fingerprint, amount, used, state, reason, sent, model, request_id, facts, "
    "created, expires) SELECT {p}, pool.tenant_id, pool.id, {p}, {p}, {p}, 0, 'held', '', FALSE, {p}, {p}, {p}, {now}, {later} "
    "FROM pool WHERE TRUE ON CONFLICT (pool_id, key) DO NOTHING RETURNING pool_id, amount",
    reads="pool",
    returns="pool_id, amount",
)
TAKEN = Part(
    "taken",
    "UPDATE quotas_creditpool SET held = held + new.amount FROM new WHERE quotas_creditpool.id = new.pool_id "
    'RETURNING settled, held, "limit"',
    reads="new",
    returns='settled, held, "limit"',
)
EXISTING = Part(
    "existing",
    'SELECT pool.settled, pool.held, pool."limit", hold.id, hold.fingerprint, hold.state, hold.used FROM quotas_creditpool AS pool '
    "LEFT JOIN quotas_hold AS hold ON hold.pool_id = pool.id AND hold.key = {p} WHERE pool.id = {p} AND pool.tenant_id = {p}",
)
SENT = Part("sent", "UPDATE quotas_hold SET sent = TRUE WHERE id = {p} AND tenant_id = {p} AND state = 'held' RETURNING id")
DONE = Part(
    "done",
    "UPDATE quotas_hold SET state = {p}, used = COALESCE({p}, amount), reason = {p} "
    "WHERE id = {p} AND tenant_id = {p} AND state = 'held' RETURNING id, tenant_id, pool_id, amount, used",
    returns="id, tenant_id, pool_id, amount, used",
)
CHARGED = Part(
    "charged",
    "UPDATE quotas_creditpool SET held = held - done.amount, settled = settled + done.used FROM done "
    'WHERE quotas_creditpool.id = done.pool_id RETURNING settled, held, "limit"',
    reads="done",
    returns='settled, held, "limit"',
)
# Columns of a record in the order of their parameters; tenant, hold and credits come from the hold itself where there is one.
RECORD_COLUMNS = tuple(name for name in Record.__dataclass_fields__ if name != "tenant_id")
_columns = attrgetter(*RECORD_COLUMNS)
_COLUMNS = ", ".join(RECORD_COLUMNS)
_MARKS = ", ".join(["{p}"] * len(RECORD_COLUMNS))
TRIAL_RECORD = Part(
    "record",
    f"INSERT INTO quotas_callrecord ({_COLUMNS}, tenant_id, hold_id, credits) "  # noqa: S608  (names of this file only)
    f"SELECT {_MARKS}, done.tenant_id, done.id, done.used FROM done",
    reads="done",
)
OWN_RECORD = Part(
    "record",
    f"INSERT INTO quotas_callrecord ({_COLUMNS}, tenant_id, hold_id, credits) VALUES ({_MARKS}, {{p}}, NULL, 0) "  # noqa: S608
    "ON CONFLICT (id) DO NOTHING RETURNING id",
)
STANDING = Part(
    "standing",
    'SELECT hold.state, hold.used, pool.settled, pool.held, pool."limit" FROM quotas_hold AS hold '
    "JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id WHERE hold.id = {p} AND hold.tenant_id = {p}",
)

EXPIRED = Part(
    "expired",
    "SELECT hold.id, hold.tenant_id, hold.sent, hold.model, hold.request_id, hold.facts, hold.created, plan.slug, plan.provider "
    "FROM quotas_hold AS hold JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id JOIN quotas_trialplan AS plan ON plan.id = pool.plan_id "
    "WHERE hold.state = 'held' AND hold.expires < {now} ORDER BY hold.expires LIMIT 1 {skip_locked}",
    table="hold",
)


# -- steps ------------------------------------------------------------------------------------------------------------


def hold(request: HoldRequest, dialect: Dialect, *, now: datetime | None = None) -> Steps[HoldResult]:
    """Reserve credits. `now` is the clock of tests; without it the database's own counts.

    Raises UnknownPool.
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
    for _attempt in range(3):  # again where credits came free between the refusal and the look at the pool
        taken = yield from together(parts, ("taken",), dialect)
        if taken:
            settled, held, limit = taken
            return HoldResult(HoldState.HELD, request.hold_id, settled, held, limit - settled - held)
        refusal = _refusal((yield single(EXISTING, (request.key, request.pool_id, request.tenant_id), dialect)), request)
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


def mark_sent(*, tenant_id: UUID, hold_id: UUID, dialect: Dialect) -> Steps[bool]:
    """Note, before the request leaves, that it may be processed. False: the hold is finished already, do not send."""
    return bool((yield single(SENT, (hold_id, tenant_id), dialect)))


def settle(*, hold_id: UUID, record: Record, used: int | None = None, reason: str = "", dialect: Dialect) -> Steps[FinishResult]:
    """Charge `used` credits (None: all that were held), give the rest back and write the record. Done before: nothing happens.

    Raises UnknownHold; the database refuses more than was held.
    """
    return (yield from _finish("settled", used, hold_id, record, reason, dialect))


def void(*, hold_id: UUID, record: Record, reason: str, dialect: Dialect) -> Steps[FinishResult]:
    """Give all credits back and write the record of the failed call. Done before: nothing happens. Raises UnknownHold."""
    return (yield from _finish("voided", 0, hold_id, record, reason, dialect))


def _finish(state: str, used: int | None, hold_id: UUID, record: Record, reason: str, dialect: Dialect) -> Steps[FinishResult]:
    parts = (
        (DONE, (state, used, reason[:60], hold_id, record.tenant_id)),
        (CHARGED, ()),
        (TRIAL_RECORD, _columns(record)),
    )
    finished = yield from together(parts, ("done", "charged"), dialect)
    if finished:
        charged, settled, held, limit = finished[-4:]
        return FinishResult(True, state, charged, settled, held, limit - settled - held)
    rows = yield single(STANDING, (hold_id, record.tenant_id), dialect)
    if not rows:
        raise UnknownHold(hold_id)
    state, charged, settled, held, limit = rows[0]
    return FinishResult(False, state, charged, settled, held, limit - settled - held)


def next_expired(dialect: Dialect, *, now: datetime | None = None) -> Steps[ExpiredHold | None]:
    """The hold that expired first, locked. It has to be finished in the same transaction, on PostgreSQL too: between the two a
    worker that woke up again could mark it as sent."""
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


def record_call(record: Record, dialect: Dialect) -> Steps[bool]:
    """Write the record of a call with an own key. False: it was written before."""
    return bool((yield single(OWN_RECORD, (*_columns(record), record.tenant_id), dialect)))
