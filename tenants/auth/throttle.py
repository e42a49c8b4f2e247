"""Throttle password checks by account, network, both, and process.

A check takes a slot before the password is hashed, so that checks side by side count as well. The
slot is given back if the password is right. Counts are in the database, shared by all processes.

Strangers can't lock people out: a browser or address that an account has signed in from before
has counts of its own, and the others' don't apply to it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from core.db.connection import release
from core.db.violations import is_duplicate
from tenants.auth import browsers
from tenants.models import KnownAddress, SignInFailures

WINDOW: Final = timedelta(minutes=15)
ADDRESS_KNOWN_FOR: Final = timedelta(days=90)
# Passwords hashed at once in a process, each on one processor for a third of a second, and one
# more of a known browser. A few others wait.
HASHED_AT_ONCE: Final = 2
WAITING: Final = 4
WAIT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Limit:
    """The number of failures allowed within WINDOW for a combination of account and origin."""

    by: tuple[str, ...]
    failures: int


# "network" is an IPv4 address or an IPv6 /64, "site" an IPv6 /48.
LIMITS: Final = (
    Limit(("account", "network"), 5),
    Limit(("account", "site"), 10),
    # Guessing from many addresses.
    Limit(("account",), 20),
    # One password tried on many accounts. Higher, because an office may share one address.
    Limit(("network",), 50),
    Limit(("site",), 100),
)
OF_KNOWN_BROWSER: Final = (Limit(("account", "browser"), 5),)
# Links for new passwords. They come in the account's own mailbox, so that strangers who use up the
# account's links keep nobody out.
OF_LINKS: Final = (
    Limit(("link", "account"), 3),
    Limit(("link", "network"), 10),
    Limit(("link", "site"), 20),
)
OF_KNOWN_ADDRESS: Final = (Limit(("account", "network"), 5), Limit(("account", "site"), 10))


class Throttled(Exception):
    """Too many failures, or too many checks at once.

    Args:
        wait: Seconds until the next attempt is allowed.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Attempt:
    """A password check that counts as failed unless `succeed` is called."""

    def __init__(self, request: HttpRequest | None, keys: list[tuple[str, Limit]]) -> None:
        self._request = request
        self._keys = keys

    def succeed(self) -> None:
        """Give the slot back and reset the account's counts.

        The count of the network alone stays: signing in to your own account must not reset the
        throttle on guessing others'.
        """
        for key, limit in self._keys:
            rows = SignInFailures.objects.filter(key=key)
            if "account" in limit.by:
                rows.delete()
            else:
                rows.filter(count__gt=0).update(count=F("count") - 1)


@contextmanager
def attempt(request: HttpRequest | None, account: str) -> Iterator[Attempt]:
    """Take a slot for hashing a password.

    Args:
        request: Where the password comes from; None on the command line.
        account: The e-mail address as typed, whether or not the account exists.

    Raises:
        Throttled: There is no slot. The attempt is not counted.
    """
    wait = wait_before_sign_in(request, account)
    if wait:
        raise Throttled(wait)
    browser, limits = _standing(request, account)
    with _hashing.slot(reserved=browser is not None):
        keys = list(_keys(request, account, browser, limits))
        _take_all(keys)
        yield Attempt(request, keys)


def count_link(request: HttpRequest, account: str) -> None:
    """Count a link for a new password that is to be sent.

    Args:
        request: Who asks for it.
        account: The e-mail address, whether or not the account exists.

    Raises:
        Throttled: Too many were asked for. This one is not counted.
    """
    _take_all(list(_keys(request, account, None, OF_LINKS)))


def wait_before_sign_in(request: HttpRequest | None, account: str) -> float:
    """Return the seconds until the next attempt is allowed; 0 if it is allowed now.

    The result is the same whether or not the account exists.
    """
    return _wait(list(_keys(request, account, *_standing(request, account))))


def _wait(keys: list[tuple[str, Limit]]) -> float:
    now = timezone.now()
    failures = {key: limit.failures for key, limit in keys}
    rows = SignInFailures.objects.filter(key__in=failures, since__gt=now - WINDOW)
    waits = [
        (row.since + WINDOW - now).total_seconds() for row in rows if row.count >= failures[row.key]
    ]
    return max(waits, default=0.0)


def remember_address(request: HttpRequest, account: str) -> None:
    """Note that an account has signed in from the request's address."""
    now = timezone.now()
    KnownAddress.objects.filter(seen__lte=now - ADDRESS_KNOWN_FOR).delete()
    KnownAddress.objects.update_or_create(
        key=_address_key(request, account), defaults={"seen": now}
    )


def _standing(request: HttpRequest | None, account: str) -> tuple[str | None, tuple[Limit, ...]]:
    """Return the browser, if it is known to the account, and the limits that apply."""
    if request is None:
        return None, LIMITS
    browser = browsers.known(request, normalised(account))
    if browser is not None:
        return browser, OF_KNOWN_BROWSER
    known = KnownAddress.objects.filter(
        key=_address_key(request, account), seen__gt=timezone.now() - ADDRESS_KNOWN_FOR
    )
    return None, OF_KNOWN_ADDRESS if known.exists() else LIMITS


class _Full(Exception):
    pass


def _take_all(keys: list[tuple[str, Limit]]) -> None:
    """Count one more failure for each key, or none at all. Raises Throttled."""
    SignInFailures.objects.filter(since__lte=timezone.now() - WINDOW).delete()
    try:
        with transaction.atomic():
            for key, limit in sorted(keys, key=lambda pair: pair[0]):
                _take(key, limit)
    except _Full:
        raise Throttled(_wait(keys) or 1.0) from None


def _take(key: str, limit: Limit) -> None:
    """Count one more failure. Raises _Full if there are as many as allowed."""
    rows = SignInFailures.objects.filter(key=key)
    for _time in range(2):
        if rows.filter(count__lt=limit.failures).update(count=F("count") + 1):
            return
        try:
            with transaction.atomic():
                SignInFailures.objects.create(key=key, count=1, since=timezone.now())
            return
        except IntegrityError as error:  # full, or made at the same moment
            if not is_duplicate(error):
                raise
    raise _Full


def _keys(
    request: HttpRequest | None, account: str, browser: str | None, limits: tuple[Limit, ...]
) -> Iterator[tuple[str, Limit]]:
    values = {"account": normalised(account), "browser": browser, "link": "", **_origins(request)}
    for limit in limits:
        if all(values[part] is not None for part in limit.by):
            yield _digest("\0".join(f"{part}={values[part]}" for part in limit.by)), limit


def _origins(request: HttpRequest | None) -> dict[str, str | None]:
    text = _address(request)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a UNIX socket
        return {"network": text, "site": None}
    mapped = getattr(address, "ipv4_mapped", None)
    if address.version == 4 or mapped is not None:
        return {"network": str(mapped or address), "site": None}
    number = int(address)
    return {"network": f"{number >> 64:x}/64", "site": f"{number >> 80:x}/48"}


def _address(request: HttpRequest | None) -> str:
    return (request.META.get("REMOTE_ADDR") or "") if request else ""


def _address_key(request: HttpRequest, account: str) -> str:
    network = _origins(request)["network"]
    return _digest(f"known={normalised(account)}\0{network}")


def normalised(account: str) -> str:
    """Return an e-mail address as accounts are looked up by it."""
    return account.strip().lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class _Hashing:
    """Bounds the passwords that a process hashes at once, so that pages stay quick."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(HASHED_AT_ONCE)
        self._reserved = threading.BoundedSemaphore(1)
        self._places = threading.BoundedSemaphore(WAITING)

    @contextmanager
    def slot(self, *, reserved: bool) -> Iterator[None]:
        """Wait for a slot; known browsers have one that no one else can take.

        Raises:
            Throttled: Too many are waiting, or for too long.
        """
        semaphore = self._acquire(reserved)
        try:
            yield
        finally:
            semaphore.release()

    def _acquire(self, reserved: bool) -> threading.BoundedSemaphore:
        if self._free.acquire(blocking=False):
            return self._free
        release()  # or everyone who waits would hold a database connection
        if reserved and self._reserved.acquire(timeout=WAIT_SECONDS):
            return self._reserved
        if not self._places.acquire(blocking=False):
            raise Throttled(WAIT_SECONDS)
        try:
            if self._free.acquire(timeout=WAIT_SECONDS):
                return self._free
        finally:
            self._places.release()
        raise Throttled(WAIT_SECONDS)


_hashing = _Hashing()
