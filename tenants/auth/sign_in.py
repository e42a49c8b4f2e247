"""Throttled and logged sign-in by e-mail address and password, for the login page and the admin."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest

from tenants import installation
from tenants.auth import browsers, throttle
from tenants.auth.decorators import note_authenticated
from tenants.models import User

log = logging.getLogger("modelkeep.sign_in")


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
        try:
            with throttle.attempt(request, account) as attempt:
                # Databases reject NUL and lone surrogates, and no account contains them.
                user: User | None = super().authenticate(
                    request, username=account if account.isprintable() else "-", password=password
                )
                if user is not None:
                    attempt.succeed()
        except throttle.Throttled as refusal:
            if request is not None:
                request.META[WAIT] = refusal.wait
            # Stops trying other backends; looks like a wrong password.
            raise PermissionDenied from None
        if user is not None and user.first_password_expired:
            if request is not None:
                request.META[EXPIRED] = True
            raise PermissionDenied
        return user


# In request.META, why an attempt was refused: the seconds to wait if it was throttled; whether the
# password was right, but a first password that has expired.
WAIT = "modelkeep.sign_in_wait"
EXPIRED = "modelkeep.first_password_expired"


@receiver(user_login_failed)
def _log_failure(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    typed = credentials.get("username") or credentials.get(User.USERNAME_FIELD) or ""
    log.warning(
        "Sign-in %s for %s from %s", _outcome(request), _account_name(typed), _address(request)
    )


def _outcome(request: HttpRequest | None) -> str:
    reasons = request.META if request is not None else {}
    if WAIT in reasons:
        return "refused after too many failures"
    return "refused with an expired first password" if EXPIRED in reasons else "failed"


def _account_name(typed: str) -> str:
    """Return the account's address. What else was typed may be a password, and is not logged."""
    account = throttle.normalised(typed)
    is_known = account.isprintable() and User.objects.filter(email=account).exists()
    return account if is_known else "an unknown account"


def _address(request: HttpRequest | None) -> str:
    return (request.META.get("REMOTE_ADDR") or "-") if request is not None else "the command line"


@receiver(user_logged_in)
def _note_success(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    browsers.remember(request, user.email)
    throttle.remember_address(request, user.email)
    # Django keeps the session's id if the person was signed in already. A copy of the old cookie
    # must not become fresh with it, so every sign-in gets a new id and the old one ends.
    request.session.cycle_key()
    note_authenticated(request)
    installation.forget_first_access()
    log.info("Sign-in of %s from %s", user.email, _address(request))
