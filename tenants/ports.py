"""Ports: functions that higher-level apps implement for this one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.ports import Port


@dataclass(frozen=True, slots=True)
class CallableModels:
    """The providers, models and endpoints that a workspace can call."""

    providers: list[tuple[str, Any]] = field(default_factory=list)  # (slug, label) of those set up
    models: Collection[str] = ()  # "provider/model"
    operations: list[tuple[str, Any]] = field(default_factory=list)  # (value, label) under /v1


@dataclass(frozen=True, slots=True)
class Example:
    """A request that works, for code samples."""

    path: str  # below /v1, such as "chat/completions"
    body: str  # JSON
    model: str  # a name, or "default"


# Allowed providers, models and operations of an app key; empty means all.
Limits = tuple[Collection[str], Collection[str], Collection[str]]


@Port
def callables(tenant_id: UUID) -> CallableModels:
    """Return the providers, models and endpoints that the workspace can call."""
    return CallableModels()


@Port
def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """Return a request that a key with these limits can make now, or None."""
    return None


@Port
def guides(
    tenant_id: UUID, base_url: str, key: str = "", limits: Limits = ((), (), ())
) -> Sequence[Any]:
    """Return the setup of each known application, in groups, for the template
    components/clients.html.

    Args:
        base_url: As OpenAI's libraries expect it, ending in /v1.
        key: The app key's text, if it is known.
    """
    return ()


@Port
def label(kind: str, code: str) -> Any:
    """Return the display name of a stored code.

    Args:
        kind: An audit entry's object type, or the name of one of its details.
        code: For example a provider's slug.
    """
    return code
