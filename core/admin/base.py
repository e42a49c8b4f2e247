"""Base admin classes: fewer scripts, capped row counts, read-only lists."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from core.admin.generic import ModelAdmin, Paginator
from core.admin.search import Lookup, first_matches

M = TypeVar("M", bound=Model)
MOST_COUNTED: Final = 10_000


class CappedPaginator(Paginator[Any]):
    """A paginator that stops counting at MOST_COUNTED, because counting a large log is slow."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        number: int = rows.order_by()[:MOST_COUNTED].count()
        return number


class LightAdmin(ModelAdmin[M]):
    """A ModelAdmin whose lists stay quick however many rows there are.

    Rows are counted up to a number only, never once per choice of a filter. It leaves out the
    scripts for prepopulated slugs, which no page here uses.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    # Instead of a scan for `search_fields`, which only make the search box show.
    search_by: tuple[Lookup, ...] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        if not self.search_by or not search_term.strip():
            return super().get_search_results(request, queryset, search_term)
        return first_matches(queryset, search_term, self.search_by), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow only the filters that the list offers.

        Django allows all columns of the table, also those that no page shows: their texts could be
        guessed letter by letter.
        """
        assert request is not None
        offered = {self.date_hierarchy}
        for entry in self.get_list_filter(request):
            first: Any = entry[0] if isinstance(entry, tuple | list) else entry
            offered.add(getattr(first, "parameter_name", first))
        names = {str(name).partition("__")[0] for name in offered if name}
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed and lookup.partition("__")[0] in names

    @property
    def media(self) -> forms.Media:
        unused = ("urlify.js", "prepopulate.js", "xregexp.js", "xregexp.min.js")
        scripts = super().media._js  # type: ignore[attr-defined]  # missing from the stubs
        return forms.Media(js=[path for path in scripts if not str(path).endswith(unused)])


class ReadOnlyAdmin(LightAdmin[M]):
    """A list of rows that operators can view but change only through actions.

    An action that changes something has permissions=["act"]; one that only reads, ["view"].
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the person may run the actions that change rows."""
        user: Any = request.user
        allowed: bool = user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")
        return allowed
