"""The SQL of the credit ledger: hold, mark as sent, settle, void, record. Pure; one text for both databases and both executors.

Each step is a generator of `Query` that is sent the rows each query returned and ends in a result. Django's connection runs it in
services.py, the data plane's own connections run it in gateway/store.py, with `run` or `run_async`:

* PostgreSQL: the parts of a step are joined with WITH into one statement. Each query is a transaction of its own (autocommit), so
  that no row lock lasts longer than one statement and a step is one round trip: 0.08 ms of CPU in the client against 0.18 ms for
  BEGIN, INSERT, UPDATE, COMMIT.
* SQLite knows no writing WITH: the same parts run one after the other, each given the row that the part before it returned. The
  whole generator has to run inside one BEGIN IMMEDIATE.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4

import orjson

from tenants.ids import uuid7

EXPIRY_MARGIN_SECONDS = 60  # a hold expires this long after the call's total deadline
Rows = Sequence[Sequence[Any]]
R = TypeVar("R")


class Query(NamedTuple):
    """One statement to execute: text with the dialect's placeholders, and its parameters."""

    sql: str
    params: tuple[Any, ...]


Steps = Generator[Query, Rows, R]


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


# Values that every driver takes as they are; told by their type alone, because a record has 27 values.
_PLAIN = frozenset({str, int, bool, float, type(None)})


# -- dialects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)  # there is one object of each; the texts kept for it are found by identity
class Dialect:
    """How one database, spoken to through one driver, wants text and values.

    now takes one parameter: the injected clock of tests, or None for the database's own. later takes it and a number of seconds.
    """

    name: str
    mark: str  # placeholder
    now: str
    later: str
    lock: str
    lock_free_hold: str  # the lock of a hold that nobody else has locked
    joins: bool  # parts of a step become one statement

    def words(self) -> dict[str, str]:
        return {"p": self.mark, "now": self.now, "later": self.later, "lock": self.lock, "lock_free_hold": self.lock_free_hold}

    def value(self, value: Any) -> Any:
        """A Python value as this driver wants it, stored as Django's ORM stores it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list or isinstance(value, Mapping | list | tuple):
            return orjson.dumps(value, default=str).decode()
        if self.joins:
            return value
        if kind is UUID:
            return value.hex
        if kind is datetime:
            return str(value.astimezone(UTC).replace(tzinfo=None))
        return str(value) if kind is Decimal else value

    def seconds(self, seconds: float) -> Any:
        return float(seconds) if self.joins else f"{seconds:+.3f} seconds"


def _sqlite(name: str, mark: str, percent: str) -> Dialect:
    text = "%Y-%m-%d %H:%M:%f".replace("%", percent)
    return Dialect(
        name=name,
        mark=mark,
        now=f"strftime('{text}', COALESCE({mark}, 'now'))",
        later=f"strftime('{text}', COALESCE({mark}, 'now'), {mark})",
        lock="",  # the transaction is IMMEDIATE: there is no other writer
        lock_free_hold="",
        joins=False,
    )


POSTGRES = Dialect(
    name="postgresql",
    mark="%s",
    now="COALESCE(CAST(%s AS timestamptz), clock_timestamp())",
    later="COALESCE(CAST(%s AS timestamptz), clock_timestamp()) + make_interval(secs => %s)",
    lock="FOR UPDATE",
    lock_free_hold="FOR UPDATE OF hold SKIP LOCKED",
    joins=True,
)
SQLITE = _sqlite("sqlite", "?", "%")  # the standard library's module
DJANGO_SQLITE = _sqlite("django-sqlite", "%s", "%%")  # the same behind Django's cursor, which takes %s


# -- parts of steps ---------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """One statement of a step. `returns` are the columns it returns; later parts read them under its name."""

    name: str
    sql: str
    reads: str = ""
    returns: str = ""


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
    "WHERE hold.state = 'held' AND hold.expires < {now} ORDER BY hold.expires LIMIT 1 {lock_free_hold}",
)


@lru_cache(maxsize=64)
def _joined(parts: tuple[Part, ...], results: tuple[str, ...], dialect: Dialect) -> str:
    texts = ", ".join(f"{part.name} AS ({part.sql})" for part in parts)
    returns = {part.name: part.returns.split(", ") for part in parts}
    columns = ", ".join(f"{name}.{column}" for name in results for column in returns[name])
    return f"WITH {texts} SELECT {columns} FROM {', '.join(results)}".format(**dialect.words())  # noqa: S608


@lru_cache(maxsize=64)
def _alone(part: Part, columns: str, dialect: Dialect) -> str:
    given = f"WITH {part.reads} ({columns}) AS (VALUES ({', '.join(['{p}'] * (columns.count(',') + 1))})) " if part.reads else ""
    return (given + part.sql).format(**dialect.words())


def _together(parts: Sequence[tuple[Part, Sequence[Any]]], results: tuple[str, ...], dialect: Dialect) -> Steps[Sequence[Any] | None]:
    """Run the parts of a step; the columns that the parts in `results` returned, None where one did nothing.

    A part that reads an earlier one does nothing where that one returned no row; no part here returns more than one.
    """
    adapted = [(part, tuple(map(dialect.value, params))) for part, params in parts]
    if dialect.joins:
        sql = _joined(tuple(part for part, _ in adapted), results, dialect)
        rows = yield Query(sql, tuple(value for _, params in adapted for value in params))
        return rows[0] if rows else None
    returned: dict[str, Sequence[Any] | None] = {}
    columns = {part.name: part.returns for part, _ in adapted}
    for part, params in adapted:
        given = returned[part.reads] if part.reads else ()
        rows = [] if given is None else (yield Query(_alone(part, columns.get(part.reads, ""), dialect), (*given, *params)))
        returned[part.name] = rows[0] if rows else None
    found = [returned[name] for name in results]
    return None if None in found else tuple(column for row in found if row is not None for column in row)


def _single(part: Part, params: Sequence[Any], dialect: Dialect) -> Query:
    return Query(_alone(part, "", dialect), tuple(map(dialect.value, params)))


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
        taken = yield from _together(parts, ("taken",), dialect)
        if taken:
            settled, held, limit = taken
            return HoldResult(HoldState.HELD, request.hold_id, settled, held, limit - settled - held)
        refusal = _refusal((yield _single(EXISTING, (request.key, request.pool_id, request.tenant_id), dialect)), request)
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
    return HoldResult(verdict, _uuid(hold_id), settled, held, left, used)


def mark_sent(*, tenant_id: UUID, hold_id: UUID, dialect: Dialect) -> Steps[bool]:
    """Note, before the request leaves, that it may be processed. False: the hold is finished already, do not send."""
    return bool((yield _single(SENT, (hold_id, tenant_id), dialect)))


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
    finished = yield from _together(parts, ("done", "charged"), dialect)
    if finished:
        charged, settled, held, limit = finished[-4:]
        return FinishResult(True, state, charged, settled, held, limit - settled - held)
    rows = yield _single(STANDING, (hold_id, record.tenant_id), dialect)
    if not rows:
        raise UnknownHold(hold_id)
    state, charged, settled, held, limit = rows[0]
    return FinishResult(False, state, charged, settled, held, limit - settled - held)


def next_expired(dialect: Dialect, *, now: datetime | None = None) -> Steps[ExpiredHold | None]:
    """The hold that expired first, locked. It has to be finished in the same transaction, on PostgreSQL too: between the two a
    worker that woke up again could mark it as sent."""
    rows = yield _single(EXPIRED, (now,), dialect)
    if not rows:
        return None
    hold_id, tenant_id, sent, model, request_id, facts, created, plan, provider = rows[0]
    return ExpiredHold(
        hold_id=_uuid(hold_id),
        tenant_id=_uuid(tenant_id),
        sent=bool(sent),
        model=model,
        request_id=request_id,
        facts=json.loads(facts) if isinstance(facts, str) else facts,
        created=_time(created),
        plan=plan,
        provider=provider,
    )


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _time(value: Any) -> datetime:
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def record_call(record: Record, dialect: Dialect) -> Steps[bool]:
    """Write the record of a call with an own key. False: it was written before."""
    return bool((yield _single(OWN_RECORD, (*_columns(record), record.tenant_id), dialect)))


# -- running ----------------------------------------------------------------------------------------------------------


def run(steps: Steps[R], execute: Callable[[str, tuple[Any, ...]], Rows]) -> R:
    """Run a step. `execute(sql, params)` returns all rows, an empty sequence where the statement returns none."""
    try:
        query = next(steps)
        while True:
            query = steps.send(execute(query.sql, query.params))
    except StopIteration as done:
        result: R = done.value
        return result


async def run_async(steps: Steps[R], execute: Callable[[str, tuple[Any, ...]], Awaitable[Rows]]) -> R:
    """`run` for an `execute` that is awaited."""
    try:
        query = next(steps)
        while True:
            query = steps.send(await execute(query.sql, query.params))
    except StopIteration as done:
        result: R = done.value
        return result
