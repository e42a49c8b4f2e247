"""CSV exports of usage: call records, streamed in pieces, and summaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from core.csv import text_of
from quotas.ledger import pricing
from quotas.models import CallRecord
from quotas.usage.summaries import SummaryRow

CALL_COLUMNS: Final = (
    *(
        "id",
        "request_id",
        "time",
        "operation",
        "model",
        "provider",
        "source",
        "scenario",
        "app_key",
        "stream",
        "prompt_tokens",
    ),
    *(
        "completion_tokens",
        "cached_tokens",
        "usage_source",
        "credits",
        "cost",
        "currency",
        "status",
        "http_status",
        "error_code",
    ),
    *("finish_reason", "attempts", "latency_ms", "first_token_ms", "images", "quantities"),
    *("error_message", "error_param", "price_version"),
)
SUMMARY_COLUMNS: Final = (
    *(
        "key",
        "calls",
        "errors",
        "cancelled",
        "trial_calls",
        "prompt_tokens",
        "completion_tokens",
        "credits",
        "costs",
        "unpriced",
        "images",
    ),
)


def of_calls(batches: Iterable[Sequence[CallRecord]]) -> Iterator[bytes]:
    """Yield the CSV header, then one piece per batch."""
    yield text_of([CALL_COLUMNS]).encode()
    for batch in batches:
        yield text_of(call_row(record) for record in batch).encode()


def call_row(record: CallRecord) -> list[Any]:
    values = {
        "time": record.time.isoformat(),
        "app_key": record.app_key_name,
        "cost": None if record.cost is None else pricing.plain(record.cost),
        "quantities": orjson.dumps(record.quantities).decode() if record.quantities else None,
    }
    return [values[name] if name in values else getattr(record, name) for name in CALL_COLUMNS]


def of_summary(rows: Iterable[SummaryRow]) -> Iterator[bytes]:
    yield text_of([SUMMARY_COLUMNS, *map(summary_row, rows)]).encode()


def summary_row(row: SummaryRow) -> list[Any]:
    costs = " + ".join(
        f"{pricing.plain(Decimal(cost.amount))} {cost.currency}" for cost in row.costs
    )
    return [costs if name == "costs" else getattr(row, name) for name in SUMMARY_COLUMNS]
