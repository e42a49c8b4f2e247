"""What a process keeps of workspaces' configurations, within a number of bytes and for a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from gateway.dataplane.routing.targets import Route
from models_catalog.resolution.entries import Entry
from providers.declaration.spec import Operation

BYTES: Final = 64 * 1024 * 1024  # of all workspaces in a process
WORKSPACE_BYTES: Final = BYTES // 64  # of one, so that none displaces all others
# Seconds. The sources of routes hold decrypted keys, which must not stay in memory for long.
SECONDS: Final = 300.0
# What Python takes, as tests/gateway/dataplane/test_routes.py measures.
_BYTES_EACH: Final = 768
_BYTES_OF_ENTRY: Final = 1024

Asked = tuple[str, Operation]  # a name, or "" for the default, and the endpoint


@dataclass(slots=True)
class Configuration:
    """The routes and the models of a workspace, as they are in one version of its configuration."""

    version: int
    until: float  # time.monotonic()
    size: int = _BYTES_EACH
    routes: dict[Asked, Route] = field(default_factory=dict)
    entries: tuple[Entry, ...] | None = None


class Kept:
    """The configurations that were used last."""

    def __init__(self, size: int = BYTES) -> None:
        self._most = size
        self._size = 0
        self._kept: OrderedDict[UUID, Configuration] = OrderedDict()
        self.cleared = 0  # times, so that what was read before is not kept afterwards

    def get(self, tenant_id: UUID, version: int) -> Configuration | None:
        """Return what is kept of a workspace, if it is of this version and not too old."""
        kept = self._kept.get(tenant_id)
        if kept is None or kept.version != version or kept.until < time.monotonic():
            return None
        self._kept.move_to_end(tenant_id)
        return kept

    def put_route(self, tenant_id: UUID, version: int, asked: Asked, route: Route) -> None:
        size = _BYTES_EACH + route.size
        self._with_room(tenant_id, version, size).routes[asked] = route

    def put_entries(self, tenant_id: UUID, version: int, entries: tuple[Entry, ...]) -> None:
        size = _BYTES_OF_ENTRY * len(entries)
        self._with_room(tenant_id, version, size).entries = entries

    def _with_room(self, tenant_id: UUID, version: int, size: int) -> Configuration:
        kept = self.get(tenant_id, version)
        if kept is None or kept.size + size > WORKSPACE_BYTES:
            self.forget(tenant_id)
            kept = self._kept[tenant_id] = Configuration(version, time.monotonic() + SECONDS)
            self._size += kept.size
        kept.size += size
        self._size += size
        while self._size > self._most and len(self._kept) > 1:
            self.forget(next(iter(self._kept)))
        return kept

    def forget(self, tenant_id: UUID) -> None:
        kept = self._kept.pop(tenant_id, None)
        if kept is not None:
            self._size -= kept.size

    def clear(self) -> None:
        self._kept.clear()
        self._size = 0
        self.cleared += 1

    def drop_expired(self) -> None:
        now = time.monotonic()
        for tenant_id in [each for each, kept in self._kept.items() if kept.until < now]:
            self.forget(tenant_id)
