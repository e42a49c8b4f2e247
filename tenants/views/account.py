"""Pages of an account: sign-in, invitation, profile and list of workspaces."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from core.errors import NotFound, ServiceError
from core.web.forms import attempt, page_form
from tenants import queries
from tenants.audit.trail import actor_of
from tenants.auth.decorators import is_recent
from tenants.auth.permissions import ROLE_LABELS, Role
from tenants.auth.request import SignedInRequest
from tenants.auth.sign_in import EXPIRED, WAIT
from tenants.forms.account import JoinForm, PasswordForm, ProfileForm, SignInForm, ThemeForm
from tenants.models import Invitation, User
from tenants.services import accounts, invitations

THEME_COOKIE = "theme"
YEAR = 365 * 24 * 3600
LAST_WORKSPACE = "last_workspace"


class SignIn(LoginView):
    """The throttled login page. Its errors don't reveal whether an account exists."""

    template_name = "tenants/sign_in.html"
    authentication_form = SignInForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and is_recent(request):
            return redirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def _refuse(self, wait: float) -> HttpResponse:
        """Respond 429.

        Args:
            wait: Seconds until the next attempt is allowed.
        """
        context = self.get_context_data(
            form=SignInForm(self.request, initial=self._typed()), wait=math.ceil(wait / 60)
        )
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = str(math.ceil(wait))
        return response

    def _typed(self) -> dict[str, str]:
        """Return the entered address, to fill in the form again after the pause."""
        return {"username": self.request.POST.get("username", "")}

    def get_initial(self) -> dict[str, Any]:
        """Fill in the address for people who only confirm their password."""
        return {"username": self.request.user.email} if self.request.user.is_authenticated else {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, confirming=self.request.user.is_authenticated)

    def form_invalid(self, form: Any) -> HttpResponse:
        wait = self.request.META.get(WAIT)
        if wait is not None:
            return self._refuse(wait)
        context = self.get_context_data(form=form, expired=EXPIRED in self.request.META)
        return self.render_to_response(context, status=422)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        return with_preferences(response, form.get_user())


def with_preferences(response: HttpResponse, user: User) -> HttpResponse:
    """Set cookies for the person's language and theme, so that pages need no script for them."""
    _set_cookie(response, settings.LANGUAGE_COOKIE_NAME, user.language)
    _set_cookie(response, THEME_COOKIE, user.theme)
    return response


def _set_cookie(response: HttpResponse, name: str, value: str) -> None:
    path = settings.LANGUAGE_COOKIE_PATH
    if value:
        response.set_cookie(
            name,
            value,
            max_age=YEAR,
            path=path,
            samesite="Lax",
            secure=settings.HTTPS,
            httponly=True,
        )
    else:
        response.delete_cookie(name, path=path, samesite="Lax")


@login_required
def home(request: SignedInRequest) -> HttpResponse:
    """Redirect to the last workspace, else the only one, else the list."""
    slugs = [member.tenant.slug for member in queries.workspaces_of(request.user)]
    last_slug = request.session.get(LAST_WORKSPACE)
    if last_slug in slugs:
        return redirect("overview", workspace=last_slug)
    if len(slugs) == 1:
        return redirect("overview", workspace=slugs[0])
    return redirect("workspace-list")


@login_required
def workspace_list(request: SignedInRequest) -> HttpResponse:
    return render(request, "tenants/workspace_list.html")


@login_required
def profile(request: SignedInRequest) -> HttpResponse:
    user = request.user
    form = ProfileForm(request.POST or None, initial=preferences(user))
    if not (request.method == "POST" and form.is_valid()):
        return page_form(
            request, "tenants/profile.html", form, {"password_form": PasswordForm(user)}
        )
    for name, value in form.cleaned_data.items():
        setattr(user, name, value)
    user.save(update_fields=list(form.cleaned_data))
    with override(user.language or None):
        messages.success(request, _("Profile saved."))
    return with_preferences(redirect("profile"), user)


def preferences(user: User) -> dict[str, str]:
    return {
        "name": user.name,
        "language": user.language,
        "theme": user.theme,
        "time_zone": user.time_zone,
    }


@login_required
@require_POST
def sign_out_elsewhere(request: SignedInRequest) -> HttpResponse:
    accounts.sign_out_elsewhere(user=request.user)
    update_session_auth_hash(request, request.user)
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("profile")


def change_language(request: HttpRequest) -> HttpResponseBase:
    """Call Django's view, but redirect to our home page, which may be below a prefix."""
    response = set_language(request)
    if response.get("Location") == "/":
        response["Location"] = reverse("home")
    return response


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Save the theme in a cookie and, if signed in, in the profile."""
    form = ThemeForm(request.POST)
    theme = form.cleaned_data["theme"] if form.is_valid() else ""
    if request.user.is_authenticated:
        request.user.theme = theme
        request.user.save(update_fields=["theme"])
    response = HttpResponseRedirect(safe_next(request))
    _set_cookie(response, THEME_COOKIE, theme)
    return response


def safe_next(request: HttpRequest) -> str:
    """Return the path to go on to that a form names, or the home page."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, {request.get_host()}, require_https=request.is_secure()
    )
    return target if safe else reverse("home")


@never_cache
@sensitive_post_parameters()
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    try:
        invitation = invitations.find_invitation(token)
    except NotFound as error:
        return render(
            request, "tenants/invitation_gone.html", {"message": error.message}, status=404
        )
    proves_mailbox = _proves_mailbox(request, invitation)
    context = {
        "invitation": invitation,
        "role": ROLE_LABELS[Role(invitation.role)],
        "has_account": _has_account(invitation),
        "proves_mailbox": proves_mailbox,
    }
    if not proves_mailbox and (request.user.is_authenticated or context["has_account"]):
        return _accept_as_member(request, token, context)
    return _accept_with_account(request, token, context)


def _proves_mailbox(request: HttpRequest, invitation: Invitation) -> bool:
    is_someone_else = request.user.is_authenticated and request.user.email != invitation.email
    return not is_someone_else and invitations.proves_mailbox(invitation)


def _has_account(invitation: Invitation) -> bool:
    return User.objects.filter(email=invitation.email).exists()


def _accept_as_member(request: HttpRequest, token: str, context: dict[str, Any]) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:
        try:
            invitations.accept_invitation(
                token=token, user=request.user, address=actor_of(request).address
            )
        except ServiceError as error:
            return render(
                request,
                "tenants/invitation.html",
                {**context, "error": error.message},
                status=error.status,
            )
        return redirect("overview", workspace=context["invitation"].tenant.slug)
    return render(request, "tenants/invitation.html", context)


def _accept_with_account(request: HttpRequest, token: str, context: dict[str, Any]) -> HttpResponse:
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        address = request.META.get("REMOTE_ADDR")
        member = attempt(
            form,
            lambda: invitations.accept_invitation(
                token=token, **form.cleaned_data, address=address
            ),
        )
        if member is not None:
            login(request, member.user)
            return with_preferences(
                redirect("overview", workspace=context["invitation"].tenant.slug), member.user
            )
    return page_form(request, "tenants/invitation.html", form, context)
