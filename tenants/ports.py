"""What this app asks of the apps above it: what an app key may call, and names for audited codes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.ports import Port


@dataclass(frozen=True, slots=True)
class CallableModels:
    """What a workspace has to call. providers: (slug, label) of those that are set up. models: ids
    "provider/model" of all that it has. operations: (value, label) of the endpoints of /v1.
    """

    providers: list[tuple[str, Any]] = field(default_factory=list)
    models: Collection[str] = ()
    operations: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A call that is answered. path: below /v1, such as "chat/completions". body: JSON. model: a
    name, or "default".
    """

    path: str
    body: str
    model: str


# What a key may use, as lists of allowed providers, models and operations; empty means all.
Limits = tuple[Collection[str], Collection[str], Collection[str]]


@Port
def callables(tenant_id: UUID) -> CallableModels:
    """Return what the workspace has to call."""
    return CallableModels()


@Port
def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """Return a call that a key with these limits can make now, or None if there is none."""
    return None


@Port
def label(kind: str, code: str) -> Any:
    """Return what people call something that is stored as a code.

    Args:
        kind: Type of an audit entry's object, or the name of one of its details.
        code: For example a provider's slug.
    """
    return code
