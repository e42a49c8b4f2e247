"""The columns that usage is grouped by and totalled from, in call records and rollups. Pure."""

from __future__ import annotations

from typing import Final

from quotas.ledger.pricing import MOST_COST, PLACES
from quotas.ledger.records import MOST_TOKENS
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


def _at_most(column: str, most: int) -> str:
    """Bound a figure that was recorded before records were bounded: records are never changed."""
    return f"CASE WHEN {column} > {most} THEN {most} ELSE COALESCE({column}, 0) END"


# A rollup's column -> its SQL value for one call record. Costs are counted in units of the last
# decimal place, as SQLite would add up floats.
NUMBERS: Final = {
    "calls": "1",
    "priced": "CASE WHEN cost IS NULL THEN 0 ELSE 1 END",
    "counted": "CASE WHEN prompt_tokens IS NULL AND completion_tokens IS NULL THEN 0 ELSE 1 END",
    "prompt_tokens": _at_most("prompt_tokens", MOST_TOKENS),
    "completion_tokens": _at_most("completion_tokens", MOST_TOKENS),
    "images": "COALESCE(images, 0)",
    "credits": "credits",
    "cost_steps": f"CAST(ROUND({_at_most('cost', int(MOST_COST))} * {10**PLACES}) AS BIGINT)",
}
# Call records with their present costs: those of their current corrections where they have one.
RATED: Final = (
    "(SELECT record.id, record.tenant_id, record.time, record.latency_ms, "  # noqa: S608
    "record.prompt_tokens, record.completion_tokens, record.images, record.credits, "
    f"{', '.join(f'record.{name}' for name in GROUPS if name != 'currency')}, "
    "CASE WHEN fix.call_id IS NULL THEN record.cost ELSE fix.cost END AS cost, "
    "CASE WHEN fix.call_id IS NULL THEN record.currency ELSE fix.currency END AS currency "
    "FROM quotas_callrecord AS record LEFT JOIN quotas_costcorrection AS fix "
    "ON fix.call_id = record.id AND fix.is_current) AS rated"
)
# Columns whose sums could exceed 64 bits: SQLite raises an error then, PostgreSQL when it stores
# them.
_REPORTED: Final = frozenset({"prompt_tokens", "completion_tokens", "cost_steps"})
_HALF: Final = 2**31
MOST: Final = 2**62  # stands for every larger sum
LATENCY: Final = {column: _latency(number) for number, column in enumerate(latency_buckets.COLUMNS)}
EXTREMES: Final = {"latency_min": "latency_ms", "latency_max": "latency_ms"}
ALL: Final = NUMBERS | LATENCY | EXTREMES


def total(column: str, of: str = "") -> str:
    """Return the SQL aggregate of a column. Sums of reported figures never exceed 64 bits.

    Args:
        of: SQL expression to aggregate; the column itself by default.
    """
    value = of or column
    if column in _REPORTED:
        # The upper and the lower half of the bits are added up apart, so that neither overflows.
        upper, lower = f"SUM(({value}) >> 31)", f"SUM(({value}) & {_HALF - 1})"
        return (
            f"CASE WHEN {upper} >= {MOST // _HALF} THEN {MOST} ELSE {upper} * {_HALF} + {lower} END"
        )
    function = {"latency_min": "MIN", "latency_max": "MAX"}.get(column, "SUM")
    return f"{function}({value})"
