"""Presentation of usage: figures with their change, breakdown tables, and a call's details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from core import error_codes
from core.templatetags.dates import seconds
from core.templatetags.ui import num
from quotas import ports
from quotas.ledger import pricing, quantities
from quotas.models import CallRecord
from quotas.templatetags.usage_ui import change, compact, costs, money, provider_name, unbroken
from quotas.usage.cost_lines import CostLine, lines_of
from quotas.usage.summaries import SummaryRow, Usage
from tenants.models import User

# The breakdowns of usage and their headings.
BREAKDOWNS: Final[Mapping[str, Any]] = {
    "model": gettext_lazy("Model"),
    "provider": gettext_lazy("Provider"),
    "app_key": gettext_lazy("App key"),
    "member": gettext_lazy("Member"),
    "source": pgettext_lazy("usage", "Served by"),
}
SHORT: Final = 7  # most characters of a value in large type


@dataclass(frozen=True, slots=True)
class Figure:
    """A labelled value.

    Attributes:
        change: Change from the previous period; "" if there is nothing to compare with.
        note: Additional remark.
        parts: The amounts of a value in several currencies, one per line.
    """

    label: Any
    value: str
    change: str = ""
    note: str = ""
    parts: Sequence[str] = ()

    @property
    def is_long(self) -> bool:
        """Whether the value needs smaller type to fit on one line."""
        return bool(self.parts) or len(self.value) > SHORT


def images(row: SummaryRow) -> str:
    """Return how many images were made, in words; empty if there are none."""
    text = ngettext("%(n)s image", "%(n)s images", row.images) % {"n": compact(row.images)}
    return unbroken(text) if row.images else ""


def of(usage: Usage) -> list[Figure]:
    total, before = usage.total, usage.before
    tokens, tokens_before = (row.prompt_tokens + row.completion_tokens for row in (total, before))
    flows = {
        "tokens_in": unbroken(compact(total.prompt_tokens)),
        "tokens_out": unbroken(compact(total.completion_tokens)),
    }
    used = [_("%(tokens_in)s in, %(tokens_out)s out") % flows] if tokens else []
    made = images(total)
    return [
        Figure(_("Calls"), compact(total.calls), change(total.calls, before.calls)),
        Figure(
            _("Tokens"),
            compact(tokens) if total.counted or not total.calls else "–",
            change(tokens, tokens_before),
            " · ".join([*used, *([made] if made else [])]),
        ),
        Figure(_("Errors"), _share(total), _points(total, before), _of_calls(total.errors)),
        Figure(
            _("Median time"),
            seconds(total.median_ms),
            change(total.median_ms or 0, before.median_ms or 0),
        ),
        Figure(
            _("Cost"),
            costs(total.costs),
            _cost_change(total, before),
            _unpriced(total.unpriced),
            _parts(total),
        ),
    ]


def _parts(row: SummaryRow) -> list[str]:
    return [costs([cost]) for cost in row.costs] if len(row.costs) > 1 else []


def _share(row: SummaryRow) -> str:
    return f"{100 * row.errors / row.calls:.1f} %" if row.calls else "–"


def _points(now: SummaryRow, before: SummaryRow) -> str:
    """Return the change of the error rate in percentage points."""
    if not now.calls or not before.calls:
        return ""
    points = round(100 * now.errors / now.calls - 100 * before.errors / before.calls, 1)
    return _("%(points)s points") % {
        "points": f"{'+' if points > 0 else '−' if points < 0 else '±'}{abs(points):.1f}"
    }


def _of_calls(errors: int) -> str:
    return ngettext("%(n)s call", "%(n)s calls", errors) % {"n": num(errors)} if errors else ""


def _unpriced(calls: int) -> str:
    return (
        ngettext("%(n)s call unpriced", "%(n)s calls unpriced", calls) % {"n": num(calls)}
        if calls
        else ""
    )


def _cost_change(now: SummaryRow, before: SummaryRow) -> str:
    """Return the change of the cost; "" unless both periods use one and the same currency."""
    if len(now.costs) != 1 or [cost.currency for cost in before.costs] != [now.costs[0].currency]:
        return ""
    return change(now.costs[0].amount, before.costs[0].amount)


# -- breakdowns ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a breakdown.

    Attributes:
        name: Display name.
        filters: Filters that select only this row's calls; {} if no filter can.
        query: Query string of the page with these filters.
    """

    name: str
    row: SummaryRow
    filters: Mapping[str, str]
    query: str

    @property
    def share_of_errors(self) -> str:
        return _share(self.row)

    @property
    def tokens(self) -> str:
        if self.row.answered and not self.row.counted:
            return images(self.row) or "–"
        tokens = f"{compact(self.row.prompt_tokens)} + {compact(self.row.completion_tokens)}"
        return " · ".join(filter(None, (tokens, images(self.row))))


def lines(
    by: str, rows: Iterable[SummaryRow], *, names: Mapping[str, str], asked: Mapping[str, str]
) -> list[Line]:
    """Return the rows of a breakdown for display.

    Args:
        names: Members' names by user id.
        asked: Query parameters of the page.
    """
    table = []
    for row in rows:
        filters = _filters(by, row.key)
        table.append(Line(_name(by, row.key, names), row, filters, urlencode({**asked, **filters})))
    return table


def _name(by: str, key: str, names: Mapping[str, str]) -> str:
    if by == "member":
        return names.get(key) or _("Former member (%(id)s)") % {"id": key}
    if by == "provider":
        return provider_name(key) or _("none")
    if by == "source":
        return source_name(key)
    return key or (_("Playground or no app key") if by == "app_key" else _("none"))


def source_name(source: str) -> str:
    """Return the display name of a record's source."""
    kind, _colon, name = source.partition(":")
    if kind == "trial":
        return _("Trial: %(name)s") % {"name": name}
    return _("Own key: %(name)s") % {"name": name} if name else _("none")


def _filters(by: str, key: str) -> dict[str, str]:
    if by == "model":
        provider, _slash, model = key.partition("/")
        return {"provider": provider, "model": model} if model else {}
    return {by: key} if by in ("provider", "app_key") and key else {}


# -- one call --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a provider; `words` describes the failure, None if it was answered.

    Attributes:
        message: what the provider said about the failure.
    """

    provider: str
    model: str
    source: str
    status: int | None
    ms: int | None
    words: error_codes.ErrorCode | None
    code: str
    message: str
    param: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What a call's page shows in addition to the record.

    Attributes:
        provider_label: "" if the provider no longer exists.
        price: That of the record, or else the one in force at the time of the call.
        lines: Each quantity with its price.
        known: The sum of what is known, if a part is unknown.
        matches: Whether the price yields the recorded cost.
    """

    attempts: Sequence[Attempt]
    words: error_codes.ErrorCode | None
    provider_label: str
    source: str
    person: str
    price: ports.VersionedPrice | None
    lines: Sequence[CostLine]
    known: str
    matches: bool


def detail(call: CallRecord) -> Detail:
    price = _price_of(call)
    currency = price.currency if price else ""
    bill = pricing.bill_of(quantities.of_record(call), price)
    person = User.objects.filter(pk=call.user_id).first() if call.user_id else None
    return Detail(
        attempts=[_attempt(entry) for entry in call.attempt_log if isinstance(entry, Mapping)],
        words=error_codes.describe(call.error_code) if call.error_code else None,
        provider_label=str(ports.provider_label(call.provider) or ""),
        source=source_name(call.source),
        person=(person.name or person.email) if person else "",
        price=price,
        lines=lines_of(bill, currency),
        known=money(pricing.plain(bill.known), currency) if bill.known and bill.unknown else "",
        matches=call.cost is not None and call.cost == bill.cost,
    )


def _price_of(call: CallRecord) -> ports.VersionedPrice | None:
    known = ports.prices(call.tenant_id, call.provider, call.model) if call.model else None
    if known is None:
        return None
    return known.find(call.price_version or "") or known.at(call.time)


def _attempt(entry: Mapping[str, Any]) -> Attempt:
    failure = str(entry.get("failure") or "")
    provider = str(entry.get("provider") or "")
    return Attempt(
        provider=str(ports.provider_label(provider) or provider),
        model=str(entry.get("model") or ""),
        source=source_name(str(entry.get("source") or "")),
        status=entry.get("status"),
        ms=entry.get("ms"),
        words=error_codes.describe(failure) if failure else None,
        code=failure,
        message=str(entry.get("message") or ""),
        param=str(entry.get("param") or ""),
    )
