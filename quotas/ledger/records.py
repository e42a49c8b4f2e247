"""Write the records of finished calls. Pure."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, Literal
from uuid import UUID

from core.db.dialect import Dialect, read_uuid
from core.db.statements import Given, Part, Statements, together
from core.ids import uuid7
from quotas.ledger.pricing import MOST_COST

# Providers report what they like. More tokens than this in one call are nonsense, and sums of
# them would no longer fit 64 bits.
MOST_TOKENS: Final = 2**40
_MOST: Final[Mapping[str, Any]] = {
    "prompt_tokens": MOST_TOKENS,
    "completion_tokens": MOST_TOKENS,
    "cached_tokens": MOST_TOKENS,
    "images": 2**15 - 1,
    "cost": MOST_COST,
    "attempts": 2**15 - 1,
    "latency_ms": 2**31 - 1,
    "first_token_ms": 2**31 - 1,
}
MOST_MESSAGE: Final = 500  # characters of a provider's words
MOST_PARAM: Final = 100
# Characters that fit the columns of texts.
LENGTHS: Final = {
    "request_id": 64,
    "operation": 24,
    "app_key_name": 80,
    "scenario": 20,
    "provider": 40,
    "model": 200,
    "source": 100,
    "currency": 3,
    "error_code": 40,
    "finish_reason": 20,
    "price_version": 16,
}


# Not frozen, because making one would take twice as long.
@dataclass(slots=True, kw_only=True)
class Record:
    """A finished call: the columns of CallRecord except `hold` and `credits`.

    Every value is made to fit its column, so that no provider can keep a call from being recorded.

    Attributes:
        id: Makes writing the same record twice harmless.
        time: When the request arrived, timezone-aware.
        prompt_tokens: None if unknown, like the other token counts.
        images: How many were generated; None if the call was not for images.
        price_version: Id of the price that gave the cost; "" if there was none.
        quantities: What else was used, as quantities.rare returns it.
        cost: None if unpriced, never 0 instead.
        http_status: Status sent to the client; 0 if unknown.
        error_message: What the provider said of the last attempt that failed, also if a later one
            answered; None if there is nothing to tell.
        error_param: The field of the request that it named.
        latency_ms: Milliseconds, like first_token_ms.
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
    images: int | None = None
    quantities: Mapping[str, Any] | None = None
    price_version: str = ""
    usage_source: Literal["reported", "estimated", "none"] = "none"
    cost: Decimal | None = None
    currency: str = ""
    http_status: int = 200
    error_code: str = ""
    error_message: str | None = None
    error_param: str | None = None
    finish_reason: str = ""
    attempts: int = 1
    attempt_log: Sequence[Mapping[str, Any]] = ()
    latency_ms: int = 0
    first_token_ms: int | None = None

    def __post_init__(self) -> None:
        numbers = [value for value in _numbers_of(self) if value is not None]
        if min(numbers) < 0 or max(numbers) > _FITS_ALL:
            _set_numbers(self)
        texts = _texts_of(self)
        joined = "".join(texts)
        if (
            not joined.isascii()
            or "\0" in joined
            or any(map(operator.gt, map(len, texts), LENGTHS.values()))
        ):
            _set_texts(self)
        if self.error_message is not None:
            self.error_message = _storable(self.error_message, MOST_MESSAGE)
        if self.error_param is not None:
            self.error_param = _storable(self.error_param, MOST_PARAM)


_FITS_ALL: Final = min(_MOST.values())
_numbers_of = attrgetter(*_MOST)
_texts_of = attrgetter(*LENGTHS)


def _set_numbers(record: Record) -> None:
    for name, value in zip(_MOST, _numbers_of(record), strict=True):
        if value is not None:
            setattr(record, name, min(max(value, 0), _MOST[name]))


def _set_texts(record: Record) -> None:
    for name, text in zip(LENGTHS, _texts_of(record), strict=True):
        setattr(record, name, _storable(text, LENGTHS[name]))


def _storable(text: str, length: int) -> str:
    """Cut a text, and remove what databases refuse: NUL and halves of surrogate pairs."""
    return text.replace("\0", "").encode(errors="ignore").decode()[:length]


# A record's columns in the order of their parameters. The tenant, hold and credits of a trial call
# come from its hold.
RECORD_COLUMNS = tuple(name for name in Record.__dataclass_fields__ if name != "tenant_id")
record_values = attrgetter(*RECORD_COLUMNS)
_COLUMNS = ", ".join(RECORD_COLUMNS)
_KINDS: Final[Mapping[str, str]] = {
    "UUID": "uuid",
    "datetime": "timestamptz",
    "str": "text",
    "bool": "boolean",
    "int": "bigint",
    "Decimal": "numeric",
    "Literal": "text",
    "Sequence": "jsonb",
    "Mapping": "jsonb",
}


def _kind(name: str) -> str:
    """Return a column's type in PostgreSQL."""
    annotation = str(Record.__dataclass_fields__[name].type)
    return _KINDS[annotation.partition(" ")[0].partition("[")[0]]


ENDED: Final = Given(
    "ended", (("of_hold", "uuid"), *((name, _kind(name)) for name in RECORD_COLUMNS))
)
OWNED: Final = Given(
    "owned", (("tenant_id", "uuid"), *((name, _kind(name)) for name in RECORD_COLUMNS))
)
_VALUES = ", ".join(f"{{rows}}.{name}" for name in RECORD_COLUMNS)
TRIAL_RECORD = Part(
    "record",
    f"INSERT INTO quotas_callrecord ({_COLUMNS}, tenant_id, hold_id, credits) "  # noqa: S608  (names of this file only)
    f"SELECT {_VALUES.format(rows='ended')}, done.tenant_id, done.id, done.used "
    "FROM done JOIN ended ON ended.of_hold = done.id",
    reads=("done", "ended"),
)
OWN_RECORD = Part(
    "record",
    f"INSERT INTO quotas_callrecord ({_COLUMNS}, tenant_id, hold_id, credits) "  # noqa: S608
    f"SELECT {_VALUES.format(rows='owned')}, owned.tenant_id, NULL, 0 FROM owned WHERE TRUE "
    "ON CONFLICT (id) DO NOTHING RETURNING id",
    reads=("owned",),
    returns=("id",),
)


def record_calls(records: Sequence[Record], dialect: Dialect) -> Statements[set[UUID]]:
    """Write the records of calls made with the tenants' own credentials.

    Returns:
        The ids of those that did not exist yet.
    """
    rows = [(record.tenant_id, *record_values(record)) for record in records]
    written = yield from together([(OWNED, rows)], [(OWN_RECORD, ())], ("record",), dialect)
    return {read_uuid(record_id) for (record_id,) in written}


def record_call(record: Record, dialect: Dialect) -> Statements[bool]:
    """Write the record of a call made with the tenant's own credential.

    Returns:
        False if the record already existed.
    """
    return bool((yield from record_calls([record], dialect)))
