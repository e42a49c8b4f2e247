"""The operators' admin site."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy, gettext_noop

from operations.dashboard import figures

# Texts of Django's admin index that its Chinese catalog lacks.
INDEX_COLUMNS = (gettext_noop("Add link"), gettext_noop("Change or view list link"))


class OperatorSite(AdminSite):
    site_title = site_header = gettext_lazy("Modelkeep operations")
    index_title = gettext_lazy("Operations")

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        return super().index(request, {**(extra_context or {}), "figures": figures()})
