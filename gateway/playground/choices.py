"""The playground's models and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from models_catalog import queries as catalog
from models_catalog.resolution.entries import Entry
from models_catalog.scenarios import SCENARIOS
from providers.declaration import registry
from providers.declaration.spec import ModelType, Operation
from providers.operations.table import ONLY_FEATURES
from tenants.models import Tenant

_SCENARIO_OF: Final = {scenario.type: scenario.slug for scenario in SCENARIOS}


@dataclass(frozen=True, slots=True)
class Offer:
    """The callable models of one type.

    Args:
        model: The preselected model.
        lost: The requested model's name, if it cannot be called.
    """

    type: ModelType
    entries: tuple[Entry, ...]
    model: Entry | None
    lost: str = ""

    def find(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == name), None)


def labels() -> dict[str, Any]:
    """Return provider labels by slug."""
    return {provider.slug: provider.label for provider in registry.all_providers()}


def offers(*, tenant: Tenant, requested: Mapping[ModelType, str]) -> dict[ModelType, Offer]:
    """Return the callable models by type, in a fixed number of queries.

    Args:
        requested: The requested model by type.
    """
    can_call = catalog.can_call(tenant_id=tenant.pk)
    usable = [
        entry
        for entry in catalog.entries(tenant_id=tenant.pk, enabled=True)
        if can_call(entry) and entry.features.isdisjoint(ONLY_FEATURES)
    ]
    defaults = catalog.defaults(tenant_id=tenant.pk)
    result: dict[ModelType, Offer] = {}
    for type_, scenario in _SCENARIO_OF.items():
        entries = tuple(entry for entry in usable if entry.type is type_)
        name = requested.get(type_, "")
        found = next((entry for entry in entries if entry.id == name), None)
        model = found or _first(tenant, scenario, entries, defaults[scenario].model)
        lost = name if found is None else ""
        result[type_] = Offer(type_, entries, model, lost)
    return result


def editing(*, tenant: Tenant, requested: str) -> Offer:
    """Return the callable models that change images, also those that can do nothing else."""
    can_call = catalog.can_call(tenant_id=tenant.pk)
    entries = tuple(
        entry
        for entry in catalog.entries(tenant_id=tenant.pk, enabled=True)
        if entry.type is ModelType.IMAGE and _edits(entry) and can_call(entry)
    )
    scenario = _SCENARIO_OF[ModelType.IMAGE]
    default = catalog.defaults(tenant_id=tenant.pk)[scenario].model
    found = next((entry for entry in entries if entry.id == requested), None)
    model = found or _first(tenant, scenario, entries, default)
    return Offer(ModelType.IMAGE, entries, model, requested if found is None else "")


def _edits(entry: Entry) -> bool:
    return Operation.IMAGE_EDITS in registry.get(entry.provider).operations


def _first(tenant: Tenant, scenario: str, entries: tuple[Entry, ...], default: str) -> Entry | None:
    """Return the workspace's default, else the suggested default, else the first model."""
    chosen = next((entry for entry in entries if entry.id == default), None)
    if chosen is not None or not entries:
        return chosen
    return catalog.suggestion(tenant_id=tenant.pk, scenario=scenario, among=entries) or entries[0]


# --------------------------------------------------------------------------------------- parameters


@dataclass(frozen=True, slots=True)
class Parameter:
    """A request field that users can set; None means the model's facts do not say.

    Args:
        whole: Whether the value is an integer.
        step: The number input's step.
        choices: Values to choose from instead of a number.
    """

    name: str
    label: Any
    minimum: Any = None
    maximum: Any = None
    default: Any = None
    whole: bool = False
    step: str = "any"
    choices: tuple[tuple[str, Any], ...] = ()


EFFORTS: Final = (
    ("low", pgettext_lazy("effort", "Low")),
    ("medium", pgettext_lazy("effort", "Medium")),
    ("high", pgettext_lazy("effort", "High")),
)
_LABELS: Final[dict[str, Any]] = {
    "temperature": _("Temperature"),
    "top_p": _("Top P"),
    "max_tokens": _("Max tokens"),
    "presence_penalty": _("Presence penalty"),
    "frequency_penalty": _("Frequency penalty"),
    "reasoning_effort": _("Reasoning effort"),
    "dimensions": _("Dimensions"),
}
# Parameters offered by default; the others only if the model's facts list them.
_COMMON: Final = ("temperature", "top_p")
_RARER: Final = ("presence_penalty", "frequency_penalty")


def chat_parameters(entry: Entry) -> list[Parameter]:
    """Return the chat parameters this model supports."""
    rules = entry.parameters
    names = [name for name in _COMMON if _taken(rules, name)] + [
        name for name in _RARER if name in rules and _taken(rules, name)
    ]
    parameters = [_number(name, rules.get(name, {})) for name in names]
    if _taken(rules, "max_tokens"):
        parameters.insert(
            min(1, len(parameters)),
            Parameter(
                "max_tokens", _LABELS["max_tokens"], 1, entry.max_output, whole=True, step="1"
            ),
        )
    if "reasoning" in entry.features and _taken(rules, "reasoning_effort"):
        off = (("none", pgettext_lazy("effort", "None")),) if _can_be_off(entry) else ()
        parameters.append(
            Parameter("reasoning_effort", _LABELS["reasoning_effort"], choices=(*off, *EFFORTS))
        )
    return parameters


def _can_be_off(entry: Entry) -> bool:
    """Return whether reasoning can be turned off.

    A model that rejects a temperature even with effort "none" always reasons, unless it has
    adaptive thinking.
    """
    rule = entry.parameters.get("temperature", {})
    always_reasons = (
        rule.get("supported") is False
        and not rule.get("with_effort_none")
        and "adaptive_thinking" not in entry.features
    )
    return "always_thinking" not in entry.features and not always_reasons


def embedding_parameters(entry: Entry) -> list[Parameter]:
    rule = entry.parameters.get("dimensions", {})
    if "dimensions" not in entry.parameters or rule.get("supported") is False:
        return []
    return [
        Parameter(
            "dimensions",
            _LABELS["dimensions"],
            rule.get("min", 1),
            rule.get("max"),
            rule.get("default"),
            whole=True,
            step="1",
        )
    ]


def _taken(rules: Mapping[str, Any], name: str) -> bool:
    return rules.get(name, {}).get("supported") is not False


def _number(name: str, rule: Mapping[str, Any]) -> Parameter:
    # No provider accepts negative values here. Without a known maximum, the provider checks it.
    floor = 0 if name in _COMMON else None
    return Parameter(
        name, _LABELS[name], rule.get("min", floor), rule.get("max"), rule.get("default")
    )


def voices(entry: Entry) -> Iterable[str]:
    """Return the voices listed in a speech model's facts."""
    named = entry.parameters.get("voice", {}).get("choices", ())
    return [str(voice) for voice in named]
