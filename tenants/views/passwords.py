"""Pages for choosing a password: instead of the current one, or of one that was forgotten."""

from __future__ import annotations

import math
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core.web.forms import page_form
from tenants.auth import throttle
from tenants.auth.request import SignedInRequest
from tenants.forms.account import ForgottenForm, NewPasswordForm, PasswordForm, ProfileForm
from tenants.services import accounts, password_reset
from tenants.views.account import preferences, safe_next

RESET_COOKIE: Final = f"{settings.COOKIE_PREFIX}reset"


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def change_password(request: SignedInRequest) -> HttpResponse:
    """Change the password; a page of its own for those who must, else a part of the profile."""
    user = request.user
    must = user.first_password_until is not None
    if request.method != "POST":
        if not must:
            return redirect(f"{reverse('profile')}#password")
        return _own_password_page(request, PasswordForm(user))
    form = PasswordForm(user, request.POST)
    wait = _check_passwords(request, form)
    if wait or not form.is_valid():
        answer = _own_password_page if must else _profile_page
        return answer(request, PasswordForm(user) if wait else form, wait)
    accounts.change_password(user=user, password=form.cleaned_data["new_password1"])
    update_session_auth_hash(request, user)
    messages.success(request, _("Password changed. Your other sessions were signed out."))
    return redirect(safe_next(request) if must else "profile")


def _check_passwords(request: SignedInRequest, form: PasswordForm) -> float:
    """Validate the form, throttled like a sign-in: an open browser must not help to guess.

    Returns:
        Seconds to wait before the next attempt; 0 if the form was validated.
    """
    try:
        with throttle.attempt(request, request.user.email) as attempt:
            form.full_clean()
            if not form.has_error("old_password"):
                attempt.succeed()
    except throttle.Throttled as refusal:
        return refusal.wait
    return 0.0


def _own_password_page(
    request: SignedInRequest, form: PasswordForm, wait: float = 0
) -> HttpResponse:
    target = (request.POST if request.method == "POST" else request.GET).get("next", "")
    context = {"password_form": form, "next": target}
    return _password_page(request, "tenants/own_password.html", context, wait)


def _profile_page(request: SignedInRequest, form: PasswordForm, wait: float) -> HttpResponse:
    profile = ProfileForm(initial=preferences(request.user))
    context = {"form": profile, "password_form": form}
    return _password_page(request, "tenants/profile.html", context, wait)


def _password_page(
    request: HttpRequest, template: str, context: dict[str, Any], wait: float
) -> HttpResponse:
    """Render a page with the password's form: 429 if it has to wait, 422 if it has errors."""
    form = context["password_form"]
    status = 429 if wait else 422 if form.is_bound else 200
    response = render(request, template, context | {"wait": math.ceil(wait / 60)}, status=status)
    if wait:
        response["Retry-After"] = str(math.ceil(wait))
    return response


@never_cache
def forgotten_password(request: HttpRequest) -> HttpResponse:
    """Send a link for choosing a new password.

    The answer is the same, and takes as long, whether or not there is an account.
    """
    form = ForgottenForm(request.POST or None)
    context: dict[str, Any] = {"sends_mail": bool(settings.EMAIL_URL)}
    if request.method != "POST" or not context["sends_mail"] or not form.is_valid():
        return page_form(request, "tenants/forgotten_password.html", form, context)
    context["sent_to"] = email = form.cleaned_data["email"]
    try:
        throttle.count_link(request, email)
    except throttle.Throttled as refusal:
        context |= {"sent_to": "", "wait": math.ceil(refusal.wait / 60), "form": form}
        response = render(request, "tenants/forgotten_password.html", context, status=429)
        response["Retry-After"] = str(math.ceil(refusal.wait))
        return response
    password_reset.send_link(email=email)
    return render(request, "tenants/forgotten_password.html", context)


@never_cache
def open_reset_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Move the token from the address to a cookie: sessions would keep it in the database."""
    if password_reset.user_of(uid, token) is None:
        return render(request, "tenants/reset_password.html", status=404)
    response = redirect("password-reset-new")
    response.set_cookie(
        RESET_COOKIE,
        f"{uid}.{token}",
        max_age=settings.PASSWORD_RESET_TIMEOUT,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return response


@never_cache
@sensitive_post_parameters()
def reset_password(request: HttpRequest) -> HttpResponse:
    """Choose a new password, behind a link."""
    uid, _dot, token = request.COOKIES.get(RESET_COOKIE, "").partition(".")
    user = password_reset.user_of(uid, token)
    if user is None:
        return render(request, "tenants/reset_password.html", status=404)
    form = NewPasswordForm(user, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return page_form(request, "tenants/reset_password.html", form)
    is_done = password_reset.reset_password(
        user=user,
        token=token,
        password=form.cleaned_data["new_password1"],
        address=request.META.get("REMOTE_ADDR"),
    )
    if not is_done:  # the link was used at the same moment
        return render(request, "tenants/reset_password.html", status=404)
    messages.success(request, _("Password changed. Sign in with the new one."))
    response = redirect("login")
    response.delete_cookie(RESET_COOKIE, path=settings.SESSION_COOKIE_PATH, samesite="Lax")
    return response
