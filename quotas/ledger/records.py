"""Write the record of a finished call. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

from core.db.dialect import Dialect
from core.db.steps import Part, Steps, single
from core.ids import uuid7


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One finished call, as the ledger keeps it: the columns of CallRecord but `hold` and
    `credits`, which the step itself fills in.

    time: when the call came in, aware. Tokens None: not known. cost None: unpriced, never 0.
    latency_ms, first_token_ms: milliseconds. http_status: what the client was answered, 0 where
    that is not known. id makes writing twice harmless.
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


# Columns of a record in the order of their parameters; tenant, hold and credits come from the hold
# itself where there is one.
RECORD_COLUMNS = tuple(name for name in Record.__dataclass_fields__ if name != "tenant_id")
record_values = attrgetter(*RECORD_COLUMNS)
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
    f"INSERT INTO quotas_callrecord ({_COLUMNS}, tenant_id, hold_id, credits) "  # noqa: S608
    f"VALUES ({_MARKS}, {{p}}, NULL, 0) ON CONFLICT (id) DO NOTHING RETURNING id",
)


def record_call(record: Record, dialect: Dialect) -> Steps[bool]:
    """Write the record of a call with an own key. False: it was written before."""
    return bool((yield single(OWN_RECORD, (*record_values(record), record.tenant_id), dialect)))
