"""What views of all apps share: the one translator of refused services into pages, and answers to
forms.
"""

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
    """A form of a page. It validates; a service decides, and `attempt` brings the service's refusal
    back to it.
    """

    # Where the service's words for an input belong, if not to the field of that name.
    names: Mapping[str, str] = {}
    # Fields that may stay empty and are not marked as optional.
    unmarked: Collection[str] = ()
    refusal: ServiceError | None = None

    def set_choices(self, name: str, choices: Iterable[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


def endpoint(request: HttpRequest) -> str:
    """The address that OpenAI's SDKs take as base URL, as the reader's browser reaches this
    server.
    """
    return request.build_absolute_uri(f"{get_script_prefix()}v1")


def page_form(
    request: HttpRequest, template: str, form: forms.Form, context: dict[str, Any] | None = None
) -> HttpResponse:
    """A page with a form; 422 when the form holds errors, with the focus on the first wrong
    field.
    """
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
    """A refused service as an error of the form: beside the field it names, else on top."""
    name = form.names.get(error.field, error.field) if error.field else None
    form.add_error(name if name in form.fields else None, str(error.message))


def attempt(form: PageForm, call: Callable[[], T]) -> T | None:
    """The service's result, or None with the refusal told on the form; the view may ask
    `form.refusal` for more.
    """
    try:
        return call()
    except ServiceError as error:
        form.refusal = error
        tell(form, error)
        return None


def act(request: HttpRequest, call: Callable[[], Any], done: Any = "") -> bool:
    """Run a service behind a button; what came of it is a message on the next page. False when it
    was refused.
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
    """The page that `?page=` names; the nearest one for anything else."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
