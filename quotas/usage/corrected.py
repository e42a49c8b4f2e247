"""Show calls with their present costs: those of their current corrections where they have one."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from django.db.models import Case, F, FilteredRelation, Q, QuerySet, When

from quotas.ledger.pricing import STEP
from quotas.models import CallRecord

# For a raw query of records, sorted by time and id.
JOIN: Final = (
    "SELECT found.*, fix.id AS fix_id, fix.cost AS fix_cost, fix.currency AS fix_currency, "
    "fix.price_version AS fix_version FROM ({records}) AS found "
    "LEFT JOIN quotas_costcorrection AS fix ON fix.call_id = found.id AND fix.is_current "
    "ORDER BY found.time DESC, found.id DESC"
)


def joined(calls: QuerySet[CallRecord, Any]) -> QuerySet[CallRecord, Any]:
    """Have a query also read the current corrections, for `apply`."""
    current = FilteredRelation("corrections", condition=Q(corrections__is_current=True))
    return calls.annotate(fix=current).annotate(
        fix_id=F("fix__id"),
        fix_cost=F("fix__cost"),
        fix_currency=F("fix__currency"),
        fix_version=F("fix__price_version"),
        fix_rating=F("fix__rating_id"),
    )


def present(calls: QuerySet[CallRecord, Any]) -> QuerySet[CallRecord, Any]:
    """Add the present cost to joined calls, to be read as columns."""
    return calls.annotate(
        present_cost=Case(When(fix_id=None, then=F("cost")), default=F("fix_cost")),
        present_currency=Case(When(fix_id=None, then=F("currency")), default=F("fix_currency")),
    )


def apply(calls: Iterable[CallRecord]) -> list[CallRecord]:
    """Give calls their present cost; `recorded` has the one of the record if that was corrected."""
    rows = list(calls)
    for row in rows:
        fix: Any = row
        if fix.fix_id is None:
            continue
        fix.recorded = (row.cost, row.currency)
        cost = fix.fix_cost
        row.cost = None if cost is None else Decimal(str(cost)).quantize(STEP)
        row.currency, row.price_version = fix.fix_currency, fix.fix_version
    return rows
