"""The operators' list of calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
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
from quotas.usage.presentation import source_name
from tenants.admin.csv import as_csv
from tenants.admin.search import by_workspace

# -- the ledger ------------------------------------------------------------------------------------


RECENT = timedelta(days=7)
SOURCE = coded("source", gettext_lazy("served by"), source_name)


def _by_model(text: str) -> Q:
    """Match calls of a model in the last days: no index covers all workspaces' models."""
    return Q(model=text, pk__gte=first_of(timezone.now() - RECENT))


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
        "A full request ID, a workspace's address or name, or the full name of a model that was "
        "called in the last 7 days. At most 10,000 matches are listed."
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
        return (
            _("unpriced")
            if record.cost is None
            else f"{pricing.plain(record.cost)} {record.currency}".strip()
        )

    @admin.display(description=gettext_lazy("tokens are"))
    def counted(self, record: CallRecord) -> str:
        return str(dict(COUNTED).get(record.usage_source, record.usage_source))

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallRecord]:
        """Skip ids from before the chosen period: a record gets its id after the call began."""
        rows = super().get_queryset(request)
        start = hierarchy.start(request.GET)
        return rows.filter(pk__gte=first_of(start)) if start else rows

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
    renamed = {"workspace": "tenant__slug", "app_key": "app_key_name"}
    columns = [renamed.get(name, name) for name in EXPORTED]
    cost = EXPORTED.index("cost")
    for row in newest_first(rows, *columns, by_time=False):
        amount = row[cost]
        yield (
            row[0].isoformat(),
            *row[1:cost],
            "" if amount is None else pricing.plain(amount),
            *row[cost + 1 :],
        )
