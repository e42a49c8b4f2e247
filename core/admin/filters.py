"""Admin filters with fixed choices, which avoid reading distinct values from a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest


def choice_filter(
    parameter: str,
    title: Any,
    choices: Callable[[], Iterable[tuple[str, Any]]],
    matching: Callable[[str], Q | None] | None = None,
) -> type[admin.SimpleListFilter]:
    """Make a filter with a choice for each value.

    Args:
        parameter: Name in the page's query string; also the column, unless `matching` is given.
        title: Lazy string.
        choices: Returns pairs of a value and its label, each time the list is shown.
        matching: Returns the condition for a value, or None to leave the list as it is.
    """

    class ChoiceFilter(admin.SimpleListFilter):
        parameter_name = parameter

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
            return list(choices())

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if not value:
                return queryset
            condition = Q(**{parameter: value}) if matching is None else matching(value)
            return queryset if condition is None else queryset.filter(condition)

    ChoiceFilter.title = title
    return ChoiceFilter


def condition_filter(
    parameter: str, title: Any, conditions: Mapping[str, tuple[Any, Callable[[], Q]]]
) -> type[admin.SimpleListFilter]:
    """Make a filter with a choice for each condition.

    Args:
        parameter: Name in the page's query string.
        title: Lazy string.
        conditions: By value: the choice's label and a function that returns its condition.
    """

    def matching(value: str) -> Q | None:
        return conditions[value][1]() if value in conditions else None

    def choices() -> Iterable[tuple[str, Any]]:
        return ((value, label) for value, (label, _condition) in conditions.items())

    return choice_filter(parameter, title, choices, matching)
