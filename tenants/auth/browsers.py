"""Recognise browsers that an account has signed in from, by a signed cookie.

The cookie grants nothing. It only keeps strangers' failed sign-ins from counting against the owner
(see `throttle`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE: Final = f"{settings.COOKIE_PREFIX}browser"
SALT: Final = "tenants.auth.browsers"
MAX_AGE: Final = 365 * 24 * 3600  # seconds
ACCOUNTS: Final = 5  # of one browser; the oldest is forgotten
LONGEST: Final = 1024  # characters of a cookie that is looked at


def known(request: HttpRequest, account: str) -> str | None:
    """Return the id of the browser if the account has signed in from it, otherwise None.

    Args:
        account: The e-mail address in lower case.
    """
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and user.email == account:
        return f"signed in {user.pk}"
    browser, accounts = _read(request)
    return browser if _digest(account) in accounts else None


def remember(request: HttpRequest, account: str) -> None:
    """Let KnownBrowserMiddleware add the account to the browser's cookie."""
    request.META["modelkeep.signed_in"] = account


class KnownBrowserMiddleware:
    """Set the cookie on responses to a sign-in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        account = request.META.get("modelkeep.signed_in")
        if account is not None:
            self._set(request, response, account)
        return response

    def _set(self, request: HttpRequest, response: HttpResponse, account: str) -> None:
        browser, accounts = _read(request)
        this = _digest(account)
        others = [other for other in accounts if other != this][: ACCOUNTS - 1]
        value = {"id": browser or secrets.token_hex(8), "accounts": [this, *others]}
        response.set_cookie(
            COOKIE,
            signing.dumps(value, salt=SALT),
            max_age=MAX_AGE,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.HTTPS,
            httponly=True,
            samesite="Lax",
        )


def _read(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the browser's id and accounts; nothing if the cookie is missing or forged."""
    text = request.COOKIES.get(COOKIE, "")
    if not text or len(text) > LONGEST:
        return "", []
    try:
        value: dict[str, Any] = signing.loads(text, salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        return "", []
    return value["id"], value["accounts"]


def _digest(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogateescape")).hexdigest()[:22]
