"""What pages have to ask of apps that this one may not import: what an app key may call, and names for what the audit log holds as codes.

gateway/apps.py registers the answers. Until then there is nothing to choose from, no example of a call, and codes stay codes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CallableModels:
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
# code -> words for people, None where it is no such code.
Label = Callable[[str], Any]
_callables: list[Callable[[UUID], CallableModels]] = []
_examples: list[Callable[[UUID, Limits], Example | None]] = []
_labels: dict[str, Label] = {}


def register(*, callables: Callable[[UUID], CallableModels], example: Callable[[UUID, Limits], Example | None]) -> None:
    """Once, when the applications are ready."""
    _callables[:], _examples[:] = [callables], [example]


def callables(tenant_id: UUID) -> CallableModels:
    return _callables[0](tenant_id) if _callables else CallableModels()


def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """A call that a key with these limits can make now; None where there is none."""
    return _examples[0](tenant_id, limits) if _examples else None


def register_labels(labels: Mapping[str, Label]) -> None:
    """By the type of an audit entry's object, or the name of one of its details."""
    _labels.update(labels)


def label(kind: str, code: str) -> Any:
    """What people call it: a provider, a scenario. The code itself where nobody has words for it."""
    found = _labels[kind](code) if kind in _labels and code else None
    return code if found is None else found
