"""Throttle failed sign-ins by account, by IP address, and by both.

Failures are counted in the database, so all processes share the counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from tenants.models import SignInFailures

WINDOW: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Limit:
    """The number of failures allowed within WINDOW for a combination of account and address."""

    by: tuple[str, ...]
    failures: int


LIMITS: Final = (
    Limit(("account", "address"), 5),
    # Guessing from many addresses. Higher, because it also locks out the owner.
    Limit(("account",), 20),
    # One password tried on many accounts. Higher, because an office may share one address.
    Limit(("address",), 50),
)


def wait_before_sign_in(request: HttpRequest | None, account: str) -> float:
    """Return the seconds until the next attempt is allowed; 0 if it is allowed now.

    The result is the same whether or not the account exists.
    """
    now = timezone.now()
    failures = {key: limit.failures for key, limit in _keys(request, account)}
    rows = SignInFailures.objects.filter(key__in=failures, since__gt=now - WINDOW)
    waits = [
        (row.since + WINDOW - now).total_seconds() for row in rows if row.count >= failures[row.key]
    ]
    return max(waits, default=0.0)


def count_failed_sign_in(request: HttpRequest | None, account: str) -> None:
    """Count a failed sign-in and delete counts that are older than WINDOW."""
    now = timezone.now()
    SignInFailures.objects.filter(since__lte=now - WINDOW).delete()
    for key, _limit in _keys(request, account):
        _count(key, now)


def _count(key: str, now: datetime) -> None:
    rows = SignInFailures.objects.filter(key=key)
    if rows.update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            SignInFailures.objects.create(key=key, count=1, since=now)
    except IntegrityError:
        rows.update(count=F("count") + 1)


def forget_failed_sign_ins(request: HttpRequest | None, account: str) -> None:
    """Reset the account's counts after a successful sign-in.

    The count of the address alone stays: signing in to your own account must not reset the
    throttle on guessing others'.
    """
    keys = [key for key, limit in _keys(request, account) if "account" in limit.by]
    SignInFailures.objects.filter(key__in=keys).delete()


def _keys(request: HttpRequest | None, account: str) -> Iterator[tuple[str, Limit]]:
    values = {
        "account": account.strip().lower(),
        "address": (request.META.get("REMOTE_ADDR") or "") if request else "",
    }
    for limit in LIMITS:
        text = "\0".join(f"{part}={values[part]}" for part in limit.by)
        yield hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(), limit
