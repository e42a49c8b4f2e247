"""CSV of any length: made piece by piece, never held in memory, and never a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections, connection
from django.http import HttpRequest, StreamingHttpResponse

from quotas import pricing
from quotas.models import CallRecord
from quotas.queries import SummaryRow

# A spreadsheet takes a cell that starts with one of these for a formula.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
CALL_COLUMNS: Final = (
    *("id", "request_id", "time", "operation", "model", "provider", "source", "scenario", "app_key", "stream", "prompt_tokens"),
    *("completion_tokens", "cached_tokens", "usage_source", "credits", "cost", "currency", "status", "http_status", "error_code"),
    *("finish_reason", "attempts", "latency_ms", "first_token_ms"),
)
SUMMARY_COLUMNS: Final = (
    *("key", "calls", "errors", "cancelled", "trial_calls", "prompt_tokens", "completion_tokens", "credits", "costs", "unpriced"),
)


def cell(value: Any) -> Any:
    """A value as a CSV cell: None is empty, and a text that looks like a formula is told apart by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value


def text_of(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def of_calls(batches: Iterable[Sequence[CallRecord]]) -> Iterator[bytes]:
    """The header, then a piece for each batch. Between two pieces no database connection is kept."""
    yield text_of([CALL_COLUMNS]).encode()
    for batch in batches:
        yield text_of(call_row(one) for one in batch).encode()
        if not connection.in_atomic_block:
            close_old_connections()


def call_row(one: CallRecord) -> list[Any]:
    values = {"time": one.time.isoformat(), "app_key": one.app_key_name, "cost": None if one.cost is None else pricing.plain(one.cost)}
    return [values[name] if name in values else getattr(one, name) for name in CALL_COLUMNS]


def of_summary(rows: Iterable[SummaryRow]) -> Iterator[bytes]:
    yield text_of([SUMMARY_COLUMNS, *map(summary_row, rows)]).encode()


def summary_row(row: SummaryRow) -> list[Any]:
    costs = " + ".join(f"{pricing.plain(Decimal(cost.amount))} {cost.currency}" for cost in row.costs)
    return [costs if name == "costs" else getattr(row, name) for name in SUMMARY_COLUMNS]


def download(request: HttpRequest, pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """A file that is sent while it is made. Under ASGI the pieces have to come asynchronously: Django would collect them all first.

    It is not compressed: Django's middleware makes an archive of each piece, and Chromium takes the first for the whole file.
    """
    content: Any = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Encoding": "identity",
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    take = sync_to_async(lambda: next(pieces, None))
    while (piece := await take()) is not None:
        yield piece
