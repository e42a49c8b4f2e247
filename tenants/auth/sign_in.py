"""Throttled sign-in by e-mail address and password, for the login page and the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest

from tenants.auth import throttle
from tenants.auth.decorators import note_authenticated
from tenants.models import User


class ThrottledBackend(ModelBackend):
    """Django's password check behind a throttle.

    An unknown account takes the same time as a wrong password.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        account = username if username is not None else kwargs.get(User.USERNAME_FIELD)
        if not account or password is None:
            return None
        if throttle.wait_before_sign_in(request, account):
            raise PermissionDenied  # stops trying other backends; looks like a wrong password
        # Databases reject NUL and lone surrogates, and no account contains them.
        return super().authenticate(
            request, username=account if account.isprintable() else "-", password=password
        )


@receiver(user_login_failed)
def _count_failure(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    account = credentials.get("username") or credentials.get(User.USERNAME_FIELD) or ""
    if not throttle.wait_before_sign_in(request, account):
        throttle.count_failed_sign_in(request, account)


@receiver(user_logged_in)
def _note_success(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    throttle.forget_failed_sign_ins(request, user.email)
    # Django keeps the session's id if the person was signed in already. A copy of the old cookie
    # must not become fresh with it, so every sign-in gets a new id and the old one ends.
    request.session.cycle_key()
    note_authenticated(request)
