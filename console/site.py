"""The operators' admin site."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy, gettext_noop

from console.dashboard import figures
from tenants.auth.decorators import SAFE_METHODS, in_time, redirect_to_sign_in

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
# Texts of Django's admin index that its Chinese catalog lacks.
INDEX_COLUMNS = (gettext_noop("Add link"), gettext_noop("Change or view list link"))
# Pages that are opened only to fill in a form: they ask before anything is typed.
FORM_PAGES: Final = ("/add/", "/password/")


class OperatorSite(AdminSite):
    """The admin site; whatever an operator changes takes a recent sign-in."""

    site_title = site_header = gettext_lazy("Modelkeep operations")
    index_title = gettext_lazy("Operations")

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        return super().index(request, {**(extra_context or {}), "figures": figures(request.user)})

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        checked = super().admin_view(view, cacheable)

        @wraps(checked)
        def fresh(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            asks = request.method not in SAFE_METHODS or request.path.endswith(FORM_PAGES)
            asks = asks and view != self.logout and self.has_permission(request)
            if asks and not in_time(request):
                return redirect_to_sign_in(request)
            return checked(request, *args, **kwargs)

        return cast(View, fresh)

    def password_change(  # type: ignore[override]  # the stubs allow a page, but no redirect
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the one form that changes passwords, which is throttled."""
        return redirect("profile")
