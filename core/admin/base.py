"""Base classes of the operators' lists: light queries, capped counts, read-only rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from core.admin.generic import ModelAdmin, Paginator

M = TypeVar("M", bound=Model)
MOST_COUNTED: Final = 10_000


class CappedPaginator(Paginator[Any]):
    """Counts no further than MOST_COUNTED: in a log of millions, people filter and do not turn
    pages.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        number: int = rows.order_by()[:MOST_COUNTED].count()
        return number


class LightAdmin(ModelAdmin[M]):
    """Without the scripts that fill a slug in while a title is typed: no page here does that, and
    they are half of a first visit.
    """

    @property
    def media(self) -> forms.Media:
        needless = ("urlify.js", "prepopulate.js", "xregexp.js", "xregexp.min.js")
        scripts = super().media._js  # type: ignore[attr-defined]  # what its stubs leave out
        return forms.Media(js=[path for path in scripts if not str(path).endswith(needless)])


class ReadOnlyAdmin(LightAdmin[M]):
    """Rows that the product makes: operators look at them; what they may change is an action that
    calls a service.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
