"""What the pages about app keys have to ask of apps that this one may not import: what there is to call.

gateway/apps.py registers the answers. Until then there is nothing to choose from, and no example of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Callables:
    """What a workspace has to call. providers: (slug, label) of those that are set up. models: ids "provider/model" of all
    that it has. operations: (value, label) of the endpoints of /v1.
    """

    providers: list[tuple[str, Any]] = field(default_factory=list)
    models: Collection[str] = ()
    operations: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A call that is answered. path: below /v1, such as "chat/completions". body: JSON. model: a name, or "default"."""

    path: str
    body: str
    model: str


# What a key may use, as lists of allowed providers, models and operations; empty means all.
Limits = tuple[Collection[str], Collection[str], Collection[str]]
_callables: list[Callable[[UUID], Callables]] = []
_examples: list[Callable[[UUID, Limits], Example | None]] = []


def register(*, callables: Callable[[UUID], Callables], example: Callable[[UUID, Limits], Example | None]) -> None:
    """Once, when the applications are ready."""
    _callables[:], _examples[:] = [callables], [example]


def callables(tenant_id: UUID) -> Callables:
    return _callables[0](tenant_id) if _callables else Callables()


def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """A call that a key with these limits can make now; None where there is none."""
    return _examples[0](tenant_id, limits) if _examples else None
