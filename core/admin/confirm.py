"""Admin actions that show a confirmation page first."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

MOST_NAMED: Final = 50  # rows listed on the confirmation page


Action = Callable[..., Any]


def confirm_first(
    *,
    title: Any,
    consequence: Any,
    button: Any,
    form: type[forms.Form] | None = None,
    dangerous: bool = True,
) -> Callable[[Action], Action]:
    """Show a confirmation page with the selected rows before an action runs.

    Args:
        title: Lazy string.
        consequence: Lazy string; what the action will do.
        button: Lazy string.
        form: Further input; its cleaned values are passed to the action as keyword arguments.
        dangerous: Style the button as destructive.
    """

    def decorate(action: Action) -> Action:
        @wraps(action)
        def confirm_or_run(
            self: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]
        ) -> Any:
            confirmed = "confirmed" in request.POST
            bound_form = form(request.POST if confirmed else None) if form else None
            if confirmed and (bound_form is None or bound_form.is_valid()):
                return action(
                    self, request, rows, **(bound_form.cleaned_data if bound_form else {})
                )
            texts = {
                "title": title,
                "consequence": consequence,
                "button": button,
                "dangerous": dangerous,
            }
            return _page(self, request, rows, bound_form, texts)

        return confirm_or_run

    return decorate


def _page(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    form: Any,
    texts: dict[str, Any],
) -> Any:
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
    return TemplateResponse(
        request,
        "admin/confirm_first.html",
        context,
        status=422 if form is not None and form.errors else 200,
    )


def _named(row: Model) -> str:
    tenant = getattr(row, "tenant", None)
    return f"{tenant}: {row}" if tenant else str(row)
