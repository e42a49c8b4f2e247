"""The operators' list of holds."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from core.admin.base import ReadOnlyAdmin
from core.admin.columns import column, flag
from core.admin.search import equals
from quotas.admin.pools import StateFilter
from quotas.models import Hold


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
    search_by = (equals("request_id"), equals("key"))
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
