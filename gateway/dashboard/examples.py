"""The callable models of a workspace, an example call and the setup of known clients, for the app
key and overview pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from core.request_cache import reading_once
from gateway.clients import guides as client_guides
from gateway.clients.guides import GuideGroup
from gateway.clients.snippets import PLACEHOLDER_KEY, Values
from models_catalog import queries as catalog
from models_catalog import scenarios
from models_catalog.resolution.entries import Entry
from providers import queries as providers
from providers.declaration.spec import Operation
from providers.operations.columns import OperationSpec
from providers.operations.table import ONLY_FEATURES, OPERATIONS
from tenants.ports import CallableModels, Example, Limits

# Examples are shell commands, so skip model names that would need quoting.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/@+-]+\Z")


def callables(tenant_id: UUID) -> CallableModels:
    with reading_once():
        set_up = [
            status
            for status in providers.statuses(tenant_id=tenant_id, with_counts=False).values()
            if status.is_set_up
        ]
        return CallableModels(
            providers=[
                (status.slug, status.provider.label if status.provider else status.slug)
                for status in set_up
            ],
            models=frozenset(entry.id for entry in catalog.entries(tenant_id=tenant_id)),
            operations=[(operation.value, spec.label) for operation, spec in OPERATIONS.items()],
        )


def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """Return an example call, or None if no model can be called.

    Prefer the workspace's default model.
    """
    with reading_once():
        usable = _usable(tenant_id, limits)
        if not usable:
            return None
        defaults = catalog.defaults(tenant_id=tenant_id)
        for spec in OPERATIONS.values():
            if (
                spec.example is None
                or not spec.is_json
                or (limits[2] and spec.operation not in limits[2])
            ):
                continue
            model = _model(tenant_id, spec, usable, defaults)
            if model:
                body = {"model": model, **spec.example}
                return Example(
                    spec.operation.path, json.dumps(body, ensure_ascii=False, default=str), model
                )
    return None


def guides(
    tenant_id: UUID, base_url: str, key: str = "", limits: Limits = ((), (), ())
) -> list[GuideGroup]:
    """Return the setup of known clients with a chat model that a key with these limits can call.

    Prefer the workspace's default model, also if no model can be called yet. Return nothing if the
    key may not chat.
    """
    if limits[2] and Operation.CHAT not in limits[2]:
        return []
    with reading_once():
        usable, defaults = _usable(tenant_id, limits), catalog.defaults(tenant_id=tenant_id)
        model = _model(tenant_id, OPERATIONS[Operation.CHAT], usable, defaults)
    return client_guides.guides(
        Values(base_url, model or scenarios.ANY_DEFAULT, key or PLACEHOLDER_KEY)
    )


def _usable(tenant_id: UUID, limits: Limits) -> list[Entry]:
    can_call = catalog.can_call(tenant_id=tenant_id)
    return [
        entry
        for entry in catalog.entries(tenant_id=tenant_id, enabled=True)
        if can_call(entry) and _is_offered(entry, limits)
    ]


def _is_offered(entry: Entry, limits: Limits) -> bool:
    providers_, models, _operations = limits
    return (
        (not providers_ or entry.provider in providers_)
        and (not models or entry.id in models)
        and entry.features.isdisjoint(ONLY_FEATURES)
        and _PLAIN.match(entry.id) is not None
    )


def _model(
    tenant_id: UUID, operation: OperationSpec, usable: Sequence[Entry], defaults: Any
) -> str:
    candidates = [entry for entry in usable if entry.type is operation.model_type]
    if not candidates:
        return ""
    scenario = scenarios.of_operation(operation.operation).slug
    if any(entry.id == defaults[scenario].model for entry in candidates):
        return scenarios.ANY_DEFAULT
    suggested = catalog.suggestion(tenant_id=tenant_id, scenario=scenario, among=candidates)
    return (suggested or candidates[0]).id
