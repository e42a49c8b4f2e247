"""Helpers shared by views: forms, service errors on pages, pagination."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers

from core.errors import NotFound, ServiceError

PER_PAGE = 50
DAY_INPUT = forms.DateInput({"type": "date"}, "%Y-%m-%d")
T = TypeVar("T")


class PageForm(forms.Form):
    """A form that shows service errors next to its fields; see `attempt`."""

    # Maps a service's input names to form fields where they differ.
    names: Mapping[str, str] = {}
    # Optional fields that are not marked as such.
    unmarked: Collection[str] = ()
    refusal: ServiceError | None = None

    def set_choices(self, name: str, choices: Iterable[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


def endpoint(request: HttpRequest) -> str:
    """Return the base URL for OpenAI's SDKs, as seen from the reader's browser."""
    return request.build_absolute_uri(f"{get_script_prefix()}v1")


def page_form(
    request: HttpRequest, template: str, form: forms.Form, context: dict[str, Any] | None = None
) -> HttpResponse:
    """Render a page with a form; on errors, respond 422 and focus the first invalid field."""
    wrong = form.is_bound and bool(form.errors)
    if wrong:
        focus_first_error(form)
    response = render(
        request, template, {"form": form, **(context or {})}, status=422 if wrong else 200
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


def focus_first_error(form: forms.Form) -> None:
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)
    first = next((name for name in form.fields if form.has_error(name)), None)
    if first:
        form.fields[first].widget.attrs["autofocus"] = True


def tell(form: PageForm, error: ServiceError) -> None:
    """Add a service error to the form, on the field it names or at the top."""
    name = form.names.get(error.field, error.field) if error.field else None
    form.add_error(name if name in form.fields else None, str(error.message))


def attempt(form: PageForm, call: Callable[[], T]) -> T | None:
    """Call a service and add its refusal to the form.

    Returns:
        The result, or None if the service refused; `form.refusal` has the error.
    """
    try:
        return call()
    except ServiceError as error:
        form.refusal = error
        tell(form, error)
        return None


def act(request: HttpRequest, call: Callable[[], Any], done: Any = "") -> bool:
    """Call a service for a button and show the outcome as a message on the next page.

    Returns:
        False if the service refused.
    """
    try:
        call()
    except NotFound:
        raise Http404 from None
    except ServiceError as error:
        messages.error(request, str(error.message))
        return False
    if done:
        messages.success(request, str(done))
    return True


def paginate(
    request: HttpRequest, rows: Sequence[T] | QuerySet[Any, T], per_page: int = PER_PAGE
) -> Page[T]:
    """Return the page that `?page=` names, or the nearest valid one."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
