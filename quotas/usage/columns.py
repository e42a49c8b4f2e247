"""The columns that usage is grouped by and totalled from, in call records and rollups. Pure."""

from __future__ import annotations

from typing import Final

from quotas.ledger.pricing import PLACES
from quotas.usage import latency_buckets

# Columns that call records and rollups share.
GROUPS: Final = (
    "provider",
    "model",
    "source",
    "app_key_name",
    "user_id",
    "scenario",
    "status",
    "error_code",
    "currency",
)


def _latency(number: int) -> str:
    low, high = latency_buckets.bounds_of(number)
    above = [f"latency_ms >= {low}"] if number else []
    below = [] if high is None else [f"latency_ms < {high}"]
    return f"CASE WHEN {' AND '.join(above + below)} THEN 1 ELSE 0 END"


# A rollup's column -> its SQL value for one call record. Costs are counted in units of the last
# decimal place, as SQLite would add up floats.
NUMBERS: Final = {
    "calls": "1",
    "priced": "CASE WHEN cost IS NULL THEN 0 ELSE 1 END",
    "counted": "CASE WHEN prompt_tokens IS NULL AND completion_tokens IS NULL THEN 0 ELSE 1 END",
    "prompt_tokens": "COALESCE(prompt_tokens, 0)",
    "completion_tokens": "COALESCE(completion_tokens, 0)",
    "credits": "credits",
    "cost_steps": f"CAST(ROUND(COALESCE(cost, 0) * {10**PLACES}) AS BIGINT)",
}
LATENCY: Final = {column: _latency(number) for number, column in enumerate(latency_buckets.COLUMNS)}
EXTREMES: Final = {"latency_min": "latency_ms", "latency_max": "latency_ms"}
ALL: Final = NUMBERS | LATENCY | EXTREMES


def total(column: str, of: str = "") -> str:
    """Return the SQL aggregate of a column.

    Args:
        of: SQL expression to aggregate; the column itself by default.
    """
    function = {"latency_min": "MIN", "latency_max": "MAX"}.get(column, "SUM")
    return f"{function}({of or column})"
