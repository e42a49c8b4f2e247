"""What a workspace has to call, and an example of a call that is answered: for the pages about app keys and the overview."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from models_catalog import queries as catalog
from models_catalog import scenarios
from models_catalog.catalog import Entry
from providers import queries as providers
from providers.reading import reading_once
from providers.spec import OPERATION_TYPE, Operation
from tenants.hooks import Callables, Example, Limits

OPERATION_LABELS: Final[dict[Operation, Any]] = {
    Operation.CHAT: gettext_lazy("Chat"),
    Operation.COMPLETION: gettext_lazy("Completing texts"),
    Operation.EMBEDDINGS: gettext_lazy("Embeddings"),
    Operation.TRANSCRIPTION: gettext_lazy("Speech to text"),
    Operation.TRANSLATION: gettext_lazy("Translating speech"),
    Operation.SPEECH: gettext_lazy("Text to speech"),
    Operation.RERANK: gettext_lazy("Rerank"),
    Operation.MODERATION: gettext_lazy("Moderation"),
}
# Endpoints that take and give JSON, in the order in which an example is looked for.
_TRIED: Final = (Operation.CHAT, Operation.EMBEDDINGS, Operation.RERANK, Operation.MODERATION)
_NO_CHAT: Final = "completion_only"
# The name stands in a command for a shell: one with quotes or blanks in it is not offered.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/@+-]+\Z")


def callables(tenant_id: UUID) -> Callables:
    with reading_once():
        set_up = [status for status in providers.statuses(tenant_id=tenant_id, with_counts=False).values() if status.is_set_up]
        return Callables(
            providers=[(status.slug, status.provider.label if status.provider else status.slug) for status in set_up],
            models=frozenset(one.id for one in catalog.entries(tenant_id=tenant_id)),
            operations=[(operation.value, label) for operation, label in OPERATION_LABELS.items()],
        )


def example(tenant_id: UUID, limits: Limits) -> Example | None:
    """A call of the workspace's default where it is answered, else of a model that can be called; None where there is none."""
    with reading_once():
        works = catalog.can_call(tenant_id=tenant_id)
        usable = [one for one in catalog.entries(tenant_id=tenant_id, enabled=True) if works(one) and _is_offered(one, limits)]
        if not usable:
            return None
        defaults = catalog.defaults(tenant_id=tenant_id)
        for operation in _TRIED:
            if limits[2] and operation.value not in limits[2]:
                continue
            model = _model(tenant_id, operation, usable, defaults)
            if model:
                return Example(operation.value.replace(".", "/"), _body(operation, model), model)
    return None


def _is_offered(one: Entry, limits: Limits) -> bool:
    providers_, models, _operations = limits
    allowed = (not providers_ or one.provider in providers_) and (not models or one.id in models)
    return allowed and _NO_CHAT not in one.features and _PLAIN.match(one.id) is not None


def _model(tenant_id: UUID, operation: Operation, usable: Sequence[Entry], defaults: Any) -> str:
    fitting = [one for one in usable if one.type is OPERATION_TYPE[operation]]
    scenario = scenarios.of_operation(operation)
    if not fitting:
        return ""
    if scenario is not None and any(one.id == defaults[scenario.slug].model for one in fitting):
        return scenarios.ANY_DEFAULT
    found = catalog.suggestion(tenant_id=tenant_id, scenario=scenario.slug, among=fitting) if scenario is not None else None
    return (found or fitting[0]).id


def _body(operation: Operation, model: str) -> str:
    hello = str(_("Hello"))
    fields: dict[Operation, dict[str, Any]] = {
        Operation.CHAT: {"messages": [{"role": "user", "content": hello}]},
        Operation.EMBEDDINGS: {"input": hello},
        Operation.RERANK: {"query": hello, "documents": [hello]},
        Operation.MODERATION: {"input": hello},
    }
    return json.dumps({"model": model, **fields[operation]}, ensure_ascii=False)
