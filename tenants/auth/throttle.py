"""How often a sign-in may fail: by account, by address, and by both. Counted in the database, so
all processes agree.
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
    """So many failures within WINDOW, counted for whatever `by` names."""

    by: tuple[str, ...]
    failures: int


LIMITS: Final = (
    Limit(("account", "address"), 5),
    # Guessing from many addresses. Higher, because it locks the owner out too.
    Limit(("account",), 20),
    # Trying one password on many accounts; an office behind one address makes some mistakes as
    # well.
    Limit(("address",), 50),
)


def wait_before_sign_in(request: HttpRequest | None, account: str) -> float:
    """Seconds until this account may be tried again from this address; 0 when it may be now.

    The same for accounts that exist and for those that do not.
    """
    now = timezone.now()
    failures = {key: limit.failures for key, limit in _keys(request, account)}
    rows = SignInFailures.objects.filter(key__in=failures, since__gt=now - WINDOW)
    waits = [
        (row.since + WINDOW - now).total_seconds() for row in rows if row.count >= failures[row.key]
    ]
    return max(waits, default=0.0)


def count_failed_sign_in(request: HttpRequest | None, account: str) -> None:
    now = timezone.now()
    SignInFailures.objects.filter(since__lte=now - WINDOW).delete()
    for key, _limit in _keys(request, account):
        _count(key, now)


def _count(key: str, now: datetime) -> None:
    same = SignInFailures.objects.filter(key=key)
    if same.update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            SignInFailures.objects.create(key=key, count=1, since=now)
    except IntegrityError:
        same.update(count=F("count") + 1)


def forget_failed_sign_ins(request: HttpRequest | None, account: str) -> None:
    """After a sign-in that succeeded. The address keeps its count: one's own account must not cover
    for guessing at others.
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
