"""The operators' list of holds."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import column, flag
from core.db.connection import execute
from core.db.dialect import read_uuid
from quotas.admin.pools import StateFilter
from quotas.models import CallRecord, Hold

MOST_OPEN = 10_000  # that are searched


def _by_request(text: str) -> Q:
    """Match by the call records of finished holds, which have an index, and all open holds."""
    records = CallRecord.objects.filter(request_id=text).exclude(hold=None)
    finished = list(records.values_list("hold_id", flat=True)[:MOST_OPEN])
    open_ = Hold.objects.filter(state=Hold.State.HELD).order_by("expires")
    waiting = open_.values_list("pk", "request_id")[:MOST_OPEN]
    return Q(pk__in=[*finished, *(pk for pk, request_id in waiting if request_id == text)])


def _by_key(text: str) -> Q:
    """Match by the index of each pool's keys, in which a key stands once."""
    sql = """
        SELECT id FROM (
            SELECT (SELECT id FROM quotas_hold WHERE pool_id = pool.id AND key = %s) AS id
            FROM quotas_creditpool AS pool
        ) AS found WHERE id IS NOT NULL"""
    return Q(pk__in=[read_uuid(pk) for (pk,) in execute(sql, [text])])


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin[Hold]):
    list_display = (
        column("created", gettext_lazy("time")),
        "tenant",
        column("model", gettext_lazy("model")),
        column("amount", gettext_lazy("credits held")),
        column("used", gettext_lazy("credits used")),
        "shown_state",
        column("reason", gettext_lazy("reason")),
        flag("sent", gettext_lazy("sent")),
        column("expires", gettext_lazy("expires")),
    )
    list_filter = (StateFilter,)
    list_select_related = ("tenant",)
    search_fields = ("request_id", "key")
    search_by = (_by_request, _by_key)
    search_help_text = gettext_lazy("Enter a full request ID or Idempotency-Key.")
    ordering = ("-pk",)
    fields = (
        ("tenant", column("pool", gettext_lazy("trial credits"))),
        (
            "shown_state",
            column("reason", gettext_lazy("reason")),
            flag("sent", gettext_lazy("sent")),
        ),
        (
            column("amount", gettext_lazy("credits held")),
            column("used", gettext_lazy("credits used")),
        ),
        (
            column("model", gettext_lazy("model")),
            column("request_id", gettext_lazy("request")),
            column("key", "Idempotency-Key"),
        ),
        (column("created", gettext_lazy("time")), column("expires", gettext_lazy("expires"))),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        return super().get_queryset(request).select_related("pool__plan")

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def shown_state(self, hold: Hold) -> str:
        return hold.get_state_display()
