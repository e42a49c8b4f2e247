"""The operators' pages of logs, which have a drill-down by date."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from core.admin import date_hierarchy as hierarchy
from core.admin.base import ReadOnlyAdmin

M = TypeVar("M", bound=Model)


class LogAdmin(ReadOnlyAdmin[M]):
    """A list of rows that have a time.

    Django's own drill-down reads the dates of all rows for its choices.
    """

    date_hierarchy = "time"
    by_age = "pk"  # the column that sorts the rows by time; it needs an index
    change_list_template = "admin/log_change_list.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer = super().changelist_view(request, extra_context)
        if (
            isinstance(answer, TemplateResponse)
            and answer.context_data
            and "cl" in answer.context_data
        ):
            rows = self.get_queryset(request)
            answer.context_data["periods"] = hierarchy.offered(
                answer.context_data["cl"], rows, by_age=self.by_age
            )
        return answer
