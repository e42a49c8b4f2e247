"""The operators' list of calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.admin import date_hierarchy as hierarchy
from core.admin.columns import coded, column, flag
from core.admin.log import LogAdmin
from core.admin.search import equals
from core.db.batches import newest_first
from core.ids import first_of
from quotas.admin.plans import PROVIDER
from quotas.admin.pools import COUNTED, CountedFilter, ProviderNameFilter
from quotas.ledger import pricing
from quotas.models import CallRecord
from quotas.usage import corrected
from quotas.usage.presentation import source_name
from tenants.admin.csv import as_csv
from tenants.admin.search import by_workspace

# -- the ledger ------------------------------------------------------------------------------------


# Calls that are searched for what no index covers, so that it takes as long in a large ledger.
MOST_SEARCHED = 100_000
# A record gets its id when the call has ended, or has been given up.
ENDED = timedelta(hours=1)
UNINDEXED = {"provider", "tokens"}  # parameters of filters
SOURCE = coded("source", gettext_lazy("served by"), source_name)


def _newest(rows: QuerySet[CallRecord]) -> Q:
    """Match the newest MOST_SEARCHED of rows."""
    oldest = rows.order_by("-pk").values_list("pk", flat=True)[MOST_SEARCHED:].first()
    return Q() if oldest is None else Q(pk__gte=oldest)


def _by_model(text: str) -> Q:
    return Q(model=text) & _newest(CallRecord.objects.all())


@admin.register(CallRecord)
class CallRecordAdmin(LogAdmin[CallRecord]):
    """Calls sorted by primary key, thus by time: no index covers all workspaces' times."""

    list_display = (
        "time",
        "tenant",
        "model",
        PROVIDER,
        SOURCE,
        "app_key_name",
        column("prompt_tokens", gettext_lazy("tokens in")),
        column("completion_tokens", gettext_lazy("tokens out")),
        "credits",
        "cost_text",
        "status",
        "error_code",
        "latency_ms",
    )
    list_filter: ClassVar[tuple[Any, ...]] = ("status", ProviderNameFilter, CountedFilter)
    list_select_related = ("tenant",)
    search_fields = ("request_id", "tenant", "model")
    search_by = (equals("request_id"), by_workspace, _by_model)
    search_help_text = gettext_lazy(
        "A full request ID, a workspace's address or name, or the full name of a model. Models, "
        "providers and tokens are looked for in the newest 100,000 calls, of the chosen period if "
        "there is one. At most 10,000 matches are listed."
    )
    fields = (
        ("time", "tenant", "request_id"),
        (
            "model",
            PROVIDER,
            column("operation", gettext_lazy("operation")),
            column("scenario", gettext_lazy("scenario")),
        ),
        (SOURCE, "app_key_name", column("user", gettext_lazy("user"))),
        (
            "status",
            column("http_status", gettext_lazy("HTTP status")),
            "error_code",
            column("finish_reason", gettext_lazy("finish reason")),
        ),
        (
            column("prompt_tokens", gettext_lazy("tokens in")),
            column("completion_tokens", gettext_lazy("tokens out")),
            column("cached_tokens", gettext_lazy("cached tokens")),
            column("images", gettext_lazy("images")),
            "counted",
        ),
        ("credits", "cost_text"),
        (
            "latency_ms",
            column("first_token_ms", gettext_lazy("time to first content, ms")),
            flag("stream", gettext_lazy("streamed")),
        ),
        "attempts",
        column("attempt_log", gettext_lazy("all attempts")),
    )
    actions = ("export",)

    @admin.display(description=gettext_lazy("cost"))
    def cost_text(self, record: CallRecord) -> str:
        [shown] = corrected.apply([record])
        return (
            _("unpriced")
            if shown.cost is None
            else f"{pricing.plain(shown.cost)} {shown.currency}".strip()
        )

    @admin.display(description=gettext_lazy("tokens are"))
    def counted(self, record: CallRecord) -> str:
        return str(dict(COUNTED).get(record.usage_source, record.usage_source))

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallRecord]:
        """Skip ids of other times than the chosen period, and old calls if a filter needs it."""
        rows = corrected.joined(super().get_queryset(request))
        period = hierarchy.period(request.GET)
        if period is not None:
            start, end = period
            rows = rows.filter(pk__gte=first_of(start), pk__lt=first_of(end + ENDED))
        return rows.filter(_newest(rows)) if UNINDEXED & request.GET.keys() else rows

    @admin.action(description=gettext_lazy("Download as CSV"), permissions=["view"])
    def export(self, request: HttpRequest, rows: QuerySet[CallRecord]) -> Any:
        return as_csv(request, name="calls", header=EXPORTED, rows=_exported(rows))


EXPORTED = (
    "time",
    "workspace",
    "request_id",
    "operation",
    "scenario",
    "provider",
    "model",
    "source",
    "app_key",
    "prompt_tokens",
    "completion_tokens",
    "usage_source",
    "credits",
    "cost",
    "currency",
    "status",
    "http_status",
    "error_code",
    "attempts",
    "latency_ms",
    "first_token_ms",
)


def _exported(rows: QuerySet[CallRecord]) -> Iterator[tuple[Any, ...]]:
    renamed = {
        "workspace": "tenant__slug",
        "app_key": "app_key_name",
        "cost": "present_cost",
        "currency": "present_currency",
    }
    columns = [renamed.get(name, name) for name in EXPORTED]
    cost = EXPORTED.index("cost")
    for row in newest_first(corrected.present(rows), *columns, by_time=False):
        amount = row[cost]
        yield (
            row[0].isoformat(),
            *row[1:cost],
            "" if amount is None else pricing.plain(amount),
            *row[cost + 1 :],
        )
