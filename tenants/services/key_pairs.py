"""Make the key pairs of new workspaces in the background."""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from tenants.crypto import keys

logger = logging.getLogger(__name__)
MOST: Final = 1000  # that wait; the key pairs of further workspaces are made at first use


class _Maker:
    """Makes one key pair after the other, however many workspaces are created at once.

    Making one takes a second or two of the processor. The thread lives as long as there is work; a
    process that ends waits for the one being made.
    """

    def __init__(self) -> None:
        self._waiting: deque[UUID] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, tenant_id: UUID) -> None:
        with self._lock:
            if len(self._waiting) < MOST:
                self._waiting.append(tenant_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="key-pairs")
                self._thread.start()

    def wait(self) -> None:
        """Wait until all are made."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while (tenant_id := self._next()) is not None:
            _make(tenant_id)

    def _next(self) -> UUID | None:
        with self._lock:
            if self._waiting and threading.main_thread().is_alive():
                return self._waiting.popleft()
            self._thread = None
            return None


maker: Final = _Maker()


def prepare(tenant_id: UUID) -> None:
    """Make a workspace's key pair after this transaction, unless it is needed earlier."""
    if settings.MODELKEEP_KEY_PAIRS_IN_BACKGROUND:
        transaction.on_commit(partial(maker.add, tenant_id))


def _make(tenant_id: UUID) -> None:
    try:
        keys.make_key_pair(tenant=tenant_id)
    except Exception:
        logger.exception(
            "could not make the key pair of workspace %s; it is made at first use", tenant_id
        )
    finally:
        connection.close()
