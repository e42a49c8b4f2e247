"""What the lines of a batch's output report, and the call records of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from models_catalog.resolution.entries import Price
from providers.declaration.spec import Usage
from providers.models import StoredBatch
from providers.wire.anthropic.decoding import usage_of as message_usage
from providers.wire.usage import usage_in
from quotas.ledger import pricing, quantities
from quotas.ledger.quantities import Portions
from quotas.ledger.records import Record
from quotas.ledger.states import BATCHES

LONGEST_LINE: Final = 16 * 1024 * 1024  # bytes; a longer one counts as unreadable


@dataclass(slots=True)
class Total:
    """The sums of one model.

    Attributes:
        answered: Lines with an answer.
        unknown: Of these, the ones that do not report their usage.
    """

    price: Price | None
    answered: int = 0
    failed: int = 0
    unknown: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    portions: Portions = field(default_factory=Portions)

    def add(self, usage: Usage | None) -> None:
        """Count an answer."""
        self.answered += 1
        length = (usage and usage.prompt_tokens) or 0
        self.portions.add(usage, self.price.at(length) if self.price else None)
        self.unknown += usage is None or usage.prompt_tokens is None
        if usage is None:
            return
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0
        self.cached_tokens += usage.cached_tokens or 0


class Totals:
    """Adds up the lines of a batch's files as they arrive.

    Args:
        prices: Of the batch's models, by the provider's names.
    """

    def __init__(self, prices: Mapping[str, Price | None]) -> None:
        self.of = {model: Total(price) for model, price in prices.items()}
        self._first = next(iter(self.of.values()))
        self._rest = b""
        self._skipping = False  # the rest of a line that is too long
        self.unreadable = 0
        self.is_lost = False  # nobody can tell any more what became of all lines

    def lose(self) -> None:
        """Note that what became of the lines that were not counted remains unknown."""
        self.unreadable += 1
        self.is_lost = True

    def feed(self, data: bytes) -> None:
        """Count the lines that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._count(line)
        if len(self._rest) > LONGEST_LINE:
            self.unreadable += not self._skipping
            self._skipping, self._rest = True, b""

    def finish(self, *, cut: bool = False) -> None:
        """Count the last line, and expect another file.

        Args:
            cut: Whether the file goes on, which nobody reads.
        """
        if cut:
            self.lose()
        if not self._skipping and not cut:
            self._count(self._rest)
        self._skipping, self._rest = False, b""

    def _count(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            answer = orjson.loads(line)
        except orjson.JSONDecodeError:
            self.unreadable += 1
            return
        answer = answer if isinstance(answer, dict) else {}
        if isinstance(result := answer.get("result"), dict):  # Anthropic's
            self._count_result(result)
            return
        response = answer.get("response")
        response = response if isinstance(response, dict) else {}
        body, status = response.get("body"), response.get("status_code", 200)
        if not isinstance(body, dict):
            self._first.failed += 1
            return
        total = self._total_of(body.get("model"))
        if not isinstance(status, int) or status >= 400 or body.get("error"):
            total.failed += 1
        else:
            total.add(usage_in(body))

    def _count_result(self, result: Mapping[str, Any]) -> None:
        """Count a request of a message batch, of which only answered ones cost anything."""
        message, kind = result.get("message"), result.get("type")
        if kind == "succeeded" and isinstance(message, dict):
            usage = message_usage(message.get("usage"))
            self._total_of(message.get("model")).add(usage)
        elif kind == "succeeded":
            self.unreadable += 1
        elif kind not in ("canceled", "expired"):
            self._first.failed += 1

    def _total_of(self, model: Any) -> Total:
        """Return the sums that a line counts for. Providers add dates and the like to names."""
        names: Sequence[str] = [name for name in self.of if str(model).startswith(name)]
        return self.of[max(names, key=len)] if names else self._first


def charged(totals: Totals, lines: Mapping[str, int]) -> dict[str, int]:
    """Return how many lines of each model are charged on a trial: the answered ones.

    A line that cannot be read was answered, and so was each that got lost. Providers may call a
    model something else: what one model has too much of is another's.

    Args:
        lines: How many were held.
    """
    if totals.is_lost:
        return dict(lines)
    answered = {model: totals.of[model].answered for model in lines}
    rest = totals.unreadable + sum(total.answered for total in totals.of.values())
    counts = {}
    for model, count in lines.items():
        counts[model] = min(answered[model], count)
        rest -= counts[model]
    for model, count in lines.items():
        more = min(rest, count - counts[model])
        counts[model] += more
        rest -= more
    return counts


def outline(row: StoredBatch, model: str, source: str) -> dict[str, Any]:
    """Return the columns that all records of a batch have.

    Args:
        source: What pays for it.
    """
    return {
        "tenant_id": row.tenant_id,
        "request_id": row.request_id,
        "operation": BATCHES,
        "app_key_id": row.app_key_id,
        "app_key_name": row.app_key_name,
        "user_id": row.user_id,
        "provider": row.provider,
        "model": model,
        "source": source,
        "credential_id": row.credential_id,
    }


def record_of(
    row: StoredBatch,
    model: str,
    totals: Totals,
    share: Decimal | None,
    record_id: UUID,
    source: str,
) -> Record:
    """Return the record of one model's lines.

    Args:
        totals: None of it was read if the provider does not tell about the batch any more.
        share: Of the list price that a batch costs; None if unknown.
        record_id: A uuid7, whose time the record has.
        source: What pays for the batch.
    """
    total = totals.of[model]
    is_known = total.answered > total.unknown
    is_whole = not (total.unknown or totals.unreadable)
    stored = total.portions.stored(share, totals.unreadable)
    status, error_code = _outcome(row.status, total)
    record = Record(
        **outline(row, model, source),
        id=record_id,
        time=datetime.fromtimestamp((record_id.int >> 80) / 1000, UTC),
        prompt_tokens=total.prompt_tokens if is_known else None,
        completion_tokens=total.completion_tokens if is_known else None,
        cached_tokens=total.cached_tokens if is_known else None,
        usage_source="none" if not is_known else "reported" if is_whole else "estimated",
        quantities=stored,
        price_version=total.price.version if total.price is not None else "",
        status=status,
        error_code=error_code,
    )
    cost = pricing.bill_of(quantities.of_record(record), total.price).cost
    if cost is not None and total.price is not None:
        record.cost, record.currency = cost, total.price.currency
    return record


def _outcome(status: str, total: Total) -> tuple[Literal["ok", "error", "cancelled"], str]:
    """Return the record's status and error code, by the batch's status."""
    if total.answered or (status == "completed" and not total.failed):
        return "ok", ""
    # A message batch has ended, whatever became of its requests.
    is_cancelled = status == "cancelled" or (status == "ended" and not total.failed)
    return ("cancelled", "cancelled") if is_cancelled else ("error", "provider_error")
