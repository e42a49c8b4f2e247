"""Columns for admin lists: labels, codes as text, readable values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

# A function of a row. Django also accepts these in `fields` and `readonly_fields`, but its type
# stubs allow names only.
Column = Any


def column(name: str, label: Any, *, boolean: bool = False) -> Column:
    """Make a labelled column for `list_display` and `fields`.

    Args:
        name: Field of the row.
        label: Lazy string.
        boolean: Show Django's yes/no icon.
    """

    @admin.display(description=label, ordering=name, boolean=boolean)
    def value(row: Any) -> Any:
        field_value = getattr(row, name)
        return field_value if boolean else shown(field_value)

    value.__name__ = name
    return value


def flag(name: str, label: Any) -> Column:
    """Make a yes/no column in words; the alt texts of Django's icons are not translated."""
    return coded(name, label, lambda is_on: _("yes") if is_on == 1 else _("no"))


def coded(name: str, label: Any, words: Callable[[Any], Any]) -> Column:
    """Make a column that shows a code, or a list of codes, as text.

    Args:
        words: Returns the text for one code.
    """

    @admin.display(description=label, ordering=name)
    def value(row: Any) -> Any:
        stored = getattr(row, name)
        return shown(
            [words(item) for item in stored]
            if isinstance(stored, list)
            else stored
            if stored in (None, "")
            else words(stored)
        )

    value.__name__ = name
    return value


def shown(value: Any) -> Any:
    """Format a value for display: lists joined, dicts one item per line, a hyphen if empty."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, dict):
        return format_html_join(
            mark_safe("<br>"), "{}: {}", ((name, shown(item)) for name, item in value.items())
        )
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return format_html_join(
            mark_safe("<br>"),
            "{}",
            ((" · ".join(f"{name}: {item}" for name, item in row.items()),) for row in value),
        )
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value
