"""What this process knows of credentials' health. It outlives the routes, which hold none of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from providers import queries as provider_queries
from providers.models import CredentialState, ProviderCredential

SUCCESS_SECONDS: Final = 60.0  # minimum interval between writes of a credential's last use
CREDENTIALS: Final = 65_536  # most that are remembered; one takes 300 bytes
FOREVER: Final = float("inf")


@dataclass(slots=True)
class Health:
    """A credential's health. Times are of time.monotonic().

    Args:
        version: The version of the credential's secrets.
        is_unwritten: This process has seen a failure that is not in the database yet.
    """

    version: int = 1
    resting_until: float = 0.0
    noted: float = 0.0  # the last recorded success
    is_unwritten: bool = False

    def is_resting(self, now: float) -> bool:
        return self.resting_until > now

    @property
    def needs_success(self) -> bool:
        return time.monotonic() - self.noted > SUCCESS_SECONDS

    def fail(self, cooldown: float) -> None:
        """Note a failure that rests the credential for `cooldown` seconds, if any."""
        if cooldown:
            self.resting_until = time.monotonic() + cooldown
        self.noted, self.is_unwritten = 0.0, True

    def succeed(self) -> None:
        self.noted = time.monotonic()
        self.resting_until, self.is_unwritten = 0.0, False

    def _take(self, row: ProviderCredential) -> None:
        """Take over what the database says, unless this process knows better."""
        if row.state != CredentialState.CONNECTED:
            self.noted = 0.0
        if not (self.is_unwritten and self.is_resting(time.monotonic())):
            self.resting_until, self.is_unwritten = _rest_of(row), False


class HealthStates:
    """The health of the credentials that routes use; safe to use from threads.

    A credential whose secrets are replaced has a new version, and with it a new health.
    """

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[UUID, int], Health] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, row: ProviderCredential) -> Health:
        """Return the health of a credential that was just read from the database."""
        key: tuple[Any, int] = (row.pk, row.version)
        with self._lock:
            health = self._states.setdefault(key, Health(row.version))
            self._states.move_to_end(key)
            if len(self._states) > CREDENTIALS:
                self._states.popitem(last=False)
            health._take(row)
        return health


def _rest_of(row: ProviderCredential) -> float:
    """Return until when a credential rests: an unreadable one until its state changes."""
    now = timezone.now()
    if not provider_queries.is_resting(row, now):
        return 0.0
    if row.resting_until is None:
        return FOREVER
    return time.monotonic() + max((row.resting_until - now).total_seconds(), 0.0)
