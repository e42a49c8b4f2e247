"""Which models the playground offers, and which parameters a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from models_catalog import queries as catalog
from models_catalog.resolution.catalog import Entry
from models_catalog.scenarios import SCENARIOS
from providers.declaration import registry
from providers.declaration.spec import ModelType
from providers.operations.table import ONLY_FEATURES
from tenants.models import Tenant

_SCENARIO_OF: Final = {scenario.type: scenario.slug for scenario in SCENARIOS}


@dataclass(frozen=True, slots=True)
class Offer:
    """The models of one type that can be called now. model: the one to begin with. lost: the one
    asked for, where it is not among them.
    """

    type: ModelType
    entries: tuple[Entry, ...]
    model: Entry | None
    lost: str = ""

    def find(self, name: str) -> Entry | None:
        return next((one for one in self.entries if one.id == name), None)


def labels() -> dict[str, Any]:
    """Providers' names by slug."""
    return {provider.slug: provider.label for provider in registry.all_providers()}


def offers(*, tenant: Tenant, wanted: Mapping[ModelType, str]) -> dict[ModelType, Offer]:
    """What can be called, by type, in a fixed number of queries. wanted: the model that somebody
    asked for, by type.
    """
    works = catalog.can_call(tenant_id=tenant.pk)
    usable = [
        one
        for one in catalog.entries(tenant_id=tenant.pk, enabled=True)
        if works(one) and one.features.isdisjoint(ONLY_FEATURES)
    ]
    defaults = catalog.defaults(tenant_id=tenant.pk)
    found: dict[ModelType, Offer] = {}
    for type_, scenario in _SCENARIO_OF.items():
        entries = tuple(one for one in usable if one.type is type_)
        name = wanted.get(type_, "")
        asked = next((one for one in entries if one.id == name), None)
        model = asked or _first(tenant, scenario, entries, defaults[scenario].model)
        found[type_] = Offer(type_, entries, model, name if name and asked is None else "")
    return found


def _first(tenant: Tenant, scenario: str, entries: tuple[Entry, ...], default: str) -> Entry | None:
    """The workspace's default, else what would be suggested as one, else the first."""
    chosen = next((one for one in entries if one.id == default), None)
    if chosen is not None or not entries:
        return chosen
    return catalog.suggestion(tenant_id=tenant.pk, scenario=scenario, among=entries) or entries[0]


# --------------------------------------------------------------------------------------- parameters


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a request that a person may set; None: the model's facts do not say.

    whole: a whole number. choices: instead of a number. step: of the number field.
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
# What is offered of a model whose facts are silent; the others only where its facts name them.
_COMMON: Final = ("temperature", "top_p")
_RARER: Final = ("presence_penalty", "frequency_penalty")


def chat_parameters(entry: Entry) -> list[Parameter]:
    """What a chat with this model may set: by its rules, without what it does not take."""
    rules = entry.parameters
    names = [name for name in _COMMON if _taken(rules, name)] + [
        name for name in _RARER if name in rules and _taken(rules, name)
    ]
    found = [_number(name, rules.get(name, {})) for name in names]
    if _taken(rules, "max_tokens"):
        found.insert(
            min(1, len(found)),
            Parameter(
                "max_tokens", _LABELS["max_tokens"], 1, entry.max_output, whole=True, step="1"
            ),
        )
    if "reasoning" in entry.features and _taken(rules, "reasoning_effort"):
        off = (("none", pgettext_lazy("effort", "None")),) if _can_be_off(entry) else ()
        found.append(
            Parameter("reasoning_effort", _LABELS["reasoning_effort"], choices=(*off, *EFFORTS))
        )
    return found


def _can_be_off(entry: Entry) -> bool:
    """Whether the model can be told not to reason: one that takes no temperature even then always
    does, unless it decides by itself.
    """
    rule = entry.parameters.get("temperature", {})
    is_bound = (
        rule.get("supported") is False
        and not rule.get("with_effort_none")
        and "adaptive_thinking" not in entry.features
    )
    return "always_thinking" not in entry.features and not is_bound


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
    # No provider takes less than nothing here; a greater maximum than the known one is the
    # provider's to refuse.
    floor = 0 if name in _COMMON else None
    return Parameter(
        name, _LABELS[name], rule.get("min", floor), rule.get("max"), rule.get("default")
    )


def voices(entry: Entry) -> Iterable[str]:
    """The voices a speaking model's facts name."""
    named = entry.parameters.get("voice", {}).get("choices", ())
    return [str(one) for one in named]
