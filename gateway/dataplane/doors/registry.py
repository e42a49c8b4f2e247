"""The doors that the table of operations names, and the paths they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from gateway.dataplane.doors.interface import Door
from gateway.dataplane.doors.openai import DOOR as OPENAI
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation in one door's format."""

    operation: Operation
    door: Door


def _door(name: str) -> Door:
    door: Door = import_module(f"gateway.dataplane.doors.{name}").DOOR
    return door


_NAMES: Final = dict.fromkeys(name for row in OPERATIONS.values() for name in row.doors)
DOORS: Final[Mapping[str, Door]] = {name: _door(name) for name in _NAMES}
ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    f"/v1/{DOORS[name].path_of(row.operation)}": Endpoint(row.operation, DOORS[name])
    for row in OPERATIONS.values()
    for name in row.doors
}
_ENDS: Final = {path.removeprefix("/v1"): endpoint for path, endpoint in ENDPOINTS.items()}
_MARKED: Final = tuple(door for door in DOORS.values() if door.marker)


def door_of(path: str, headers: Mapping[str, str]) -> Door:
    """Return the door whose format a request expects, also for paths that don't exist."""
    first = "/".join(path.split("/", 3)[:3])  # also of what is kept below an endpoint
    endpoint = ENDPOINTS.get(path) or ENDPOINTS.get(path.rpartition("/")[0]) or ENDPOINTS.get(first)
    if endpoint is not None:
        return endpoint.door
    if (marked := next((door for door in _MARKED if door.marker in headers), None)) is not None:
        return marked
    # Most such paths are an endpoint's, below a wrong base URL.
    ends = (endpoint.door for end, endpoint in _ENDS.items() if path.endswith(end))
    return next(ends, OPENAI)
