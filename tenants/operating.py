"""What the operators' lists of all apps share: rows that are only looked at, a page that asks before service is cut, tables as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, wraps
from typing import Any, Final, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from core.admin.generic import ModelAdmin, Paginator
from tenants.audit import actor_of, record
from tenants.downloads import download, table
from tenants.scope import tenant_scope
from tenants.services import system_tenant

M = TypeVar("M", bound=Model)
# A function of a row. Django takes them in `fields` and `readonly_fields` too; its type stubs know names only.
Column = Any
MOST_COUNTED: Final = 10_000
MOST_NAMED: Final = 50  # rows that a page names before it asks


class CappedPaginator(Paginator[Any]):
    """Counts no further than MOST_COUNTED: in a log of millions, people filter and do not turn pages."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        number: int = rows.order_by()[:MOST_COUNTED].count()
        return number


class LightAdmin(ModelAdmin[M]):
    """Without the scripts that fill a slug in while a title is typed: no page here does that, and they are half of a first visit."""

    @property
    def media(self) -> forms.Media:
        needless = ("urlify.js", "prepopulate.js", "xregexp.js", "xregexp.min.js")
        scripts = super().media._js  # type: ignore[attr-defined]  # what its stubs leave out
        return forms.Media(js=[path for path in scripts if not str(path).endswith(needless)])


class ReadOnlyAdmin(LightAdmin[M]):
    """Rows that the product makes: operators look at them; what they may change is an action that calls a service."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.ALLOW
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def column(name: str, label: Any, *, boolean: bool = False) -> Column:
    """A field of a row under a label of ours, for `list_display` and `fields`. label: a lazy string."""

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
    """A field that holds a code, or a list of codes, in the words that people have for it. words: of one code."""

    @admin.display(description=label, ordering=name)
    def value(row: Any) -> Any:
        found = getattr(row, name)
        return shown([words(one) for one in found] if isinstance(found, list) else found if found in (None, "") else words(found))

    value.__name__ = name
    return value


def shown(value: Any) -> Any:
    """A list as a sentence has it, a table as lines; a hyphen for nothing, as Django's own columns have it."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, dict):
        return format_html_join(mark_safe("<br>"), "{}: {}", ((name, shown(one)) for name, one in value.items()))
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return format_html_join(mark_safe("<br>"), "{}", ((" · ".join(f"{name}: {one}" for name, one in row.items()),) for row in value))
    return ", ".join(str(one) for one in value) if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------ asking first


Action = Callable[..., Any]


def asks_first(
    *, title: Any, consequence: Any, button: Any, form: type[forms.Form] | None = None, dangerous: bool = True
) -> Callable[[Action], Action]:
    """An action of a list that first shows a page: which rows are meant, what will happen to them, and the button that does it.

    title, consequence, button: lazy strings. form: further input; its cleaned values are passed to the action by name.
    """

    def decorate(action: Action) -> Action:
        @wraps(action)
        def asking(self: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> Any:
            confirmed = "confirmed" in request.POST
            filled = form(request.POST if confirmed else None) if form else None
            if confirmed and (filled is None or filled.is_valid()):
                return action(self, request, rows, **(filled.cleaned_data if filled else {}))
            texts = {"title": title, "consequence": consequence, "button": button, "dangerous": dangerous}
            return _page(self, request, rows, filled, texts)

        return asking

    return decorate


def _page(model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any], form: Any, texts: dict[str, Any]) -> Any:
    number = rows.count()
    context = {
        **model_admin.admin_site.each_context(request),
        **texts,
        "opts": model_admin.opts,
        "rows": [_named(row) for row in rows[:MOST_NAMED]],
        "number": number,
        "further": max(0, number - MOST_NAMED),
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "checkbox": ACTION_CHECKBOX_NAME,
        "action": request.POST.get("action"),
        "across": request.POST.get("select_across", "0"),
        "form": form,
        "media": model_admin.media + form.media if form else model_admin.media,
    }
    return TemplateResponse(request, "admin/asks_first.html", context, status=422 if form is not None and form.errors else 200)


def _named(row: Model) -> str:
    tenant = getattr(row, "tenant", None)
    return f"{tenant}: {row}" if tenant else str(row)


# --------------------------------------------------------------------------------------------------------------- CSV


def as_csv(request: HttpRequest, *, name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A table as a download, line by line. name: of the file, without its end. That it was taken is in the operators' audit trail."""
    with tenant_scope(system_tenant()):
        record(tenant=system_tenant(), actor=actor_of(request), action="operations.exported", object_type="csv", object_label=name)
    return download(request, table(header, rows), name=f"{name}-{timezone.localdate():%Y-%m-%d}.csv")
