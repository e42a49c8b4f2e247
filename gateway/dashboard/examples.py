"""What a workspace has to call, and an example of a call that is answered: for the pages about app
keys and the overview.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from core.request_cache import reading_once
from models_catalog import queries as catalog
from models_catalog import scenarios
from models_catalog.resolution.catalog import Entry
from providers import queries as providers
from providers.operations.columns import OperationSpec
from providers.operations.table import ONLY_FEATURES, OPERATIONS
from tenants.ports import CallableModels, Example, Limits

# The name stands in a command for a shell: one with quotes or blanks in it is not offered.
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
            models=frozenset(one.id for one in catalog.entries(tenant_id=tenant_id)),
            operations=[(operation.value, spec.label) for operation, spec in OPERATIONS.items()],
        )


def example(tenant_id: UUID, limits: Limits = ((), (), ())) -> Example | None:
    """A call of the workspace's default where it is answered, else of a model that can be called;
    None where there is none.
    """
    with reading_once():
        works = catalog.can_call(tenant_id=tenant_id)
        usable = [
            one
            for one in catalog.entries(tenant_id=tenant_id, enabled=True)
            if works(one) and _is_offered(one, limits)
        ]
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


def _is_offered(one: Entry, limits: Limits) -> bool:
    providers_, models, _operations = limits
    allowed = (not providers_ or one.provider in providers_) and (not models or one.id in models)
    return allowed and one.features.isdisjoint(ONLY_FEATURES) and _PLAIN.match(one.id) is not None


def _model(
    tenant_id: UUID, operation: OperationSpec, usable: Sequence[Entry], defaults: Any
) -> str:
    fitting = [one for one in usable if one.type is operation.model_type]
    if not fitting:
        return ""
    scenario = scenarios.of_operation(operation.operation).slug
    if any(one.id == defaults[scenario].model for one in fitting):
        return scenarios.ANY_DEFAULT
    suggested = catalog.suggestion(tenant_id=tenant_id, scenario=scenario, among=fitting)
    return (suggested or fitting[0]).id
