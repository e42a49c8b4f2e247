"""Columns of the operators' lists: labels, codes in words, readable values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

# A function of a row. Django takes them in `fields` and `readonly_fields` too; its type stubs know
# names only.
Column = Any


def column(name: str, label: Any, *, boolean: bool = False) -> Column:
    """A field of a row under a label of ours, for `list_display` and `fields`. label: a lazy
    string.
    """

    @admin.display(description=label, ordering=name, boolean=boolean)
    def value(row: Any) -> Any:
        found = getattr(row, name)
        return found if boolean else shown(found)

    value.__name__ = name
    return value


def flag(name: str, label: Any) -> Column:
    """A yes or no in words: Django's pictures of them say True and False in every language."""
    return coded(name, label, lambda is_on: _("yes") if is_on == 1 else _("no"))


def coded(name: str, label: Any, words: Callable[[Any], Any]) -> Column:
    """A field that holds a code, or a list of codes, in the words that people have for it. words:
    of one code.
    """

    @admin.display(description=label, ordering=name)
    def value(row: Any) -> Any:
        found = getattr(row, name)
        return shown(
            [words(one) for one in found]
            if isinstance(found, list)
            else found
            if found in (None, "")
            else words(found)
        )

    value.__name__ = name
    return value


def shown(value: Any) -> Any:
    """A list as a sentence has it, a table as lines; a hyphen for nothing, as Django's own columns
    have it.
    """
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, dict):
        return format_html_join(
            mark_safe("<br>"), "{}: {}", ((name, shown(one)) for name, one in value.items())
        )
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return format_html_join(
            mark_safe("<br>"),
            "{}",
            ((" · ".join(f"{name}: {one}" for name, one in row.items()),) for row in value),
        )
    return ", ".join(str(one) for one in value) if isinstance(value, list) else value
