"""Errors for model names that don't resolve; each message says what to do."""

from __future__ import annotations

from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from core.errors import NotFound, ServiceError


class ModelNotFound(NotFound):
    """The tenant's catalog has no model of this name."""

    def __init__(self, name: str, message: Any = None) -> None:
        super().__init__(
            "model_not_found",
            message or _fill(_("There is no model “{name}” in this workspace."), name=name),
            field="model",
        )


class ModelDisabled(ModelNotFound):
    """The model is switched off."""

    def __init__(self, name: str) -> None:
        text = _(
            "The model {name} is switched off in this workspace. Switch it on under Settings > "
            "Model providers."
        )
        super().__init__(name, _fill(text, name=name))


class AmbiguousModel(ServiceError):
    """Several providers have a model of this name; `ids` are the full names."""

    def __init__(self, name: str, ids: tuple[str, ...]) -> None:
        text = _("Several providers have a model “{name}”. Use one of these names: {ids}.")
        super().__init__(
            "ambiguous_model", _fill(text, name=name, ids=", ".join(ids)), field="model"
        )
        self.ids = ids


class WrongType(ServiceError):
    """The model or scenario does not fit the operation."""

    def __init__(self, message: Any) -> None:
        super().__init__("invalid_request", message, field="model")


class NotConfigured(ServiceError):
    """A scenario or provider must be set up first; the message names the page."""

    def __init__(
        self, scenario: Any = None, *, provider: str | None = None, message: Any = None
    ) -> None:
        if message is None and scenario is not None:
            message = _fill(
                _(
                    "No default model is set for “{label}”. Choose one under Settings > Default "
                    "models."
                ),
                label=scenario.label,
            )
        super().__init__("not_configured", message, field="model")
        self.scenario: str | None = scenario.slug if scenario is not None else None
        self.provider = provider


def provider_not_set_up(slug: str, label: Any) -> NotConfigured:
    text = _("{label} is not set up in this workspace. Add a key under Settings > Model providers.")
    return NotConfigured(provider=slug, message=_fill(text, label=label))


def default_unusable(scenario: Any, name: str) -> NotConfigured:
    text = _(
        "The default model for “{label}”, {name}, is switched off or no longer available. "
        "Choose another one under Settings > Default models."
    )
    return NotConfigured(scenario, message=_fill(text, label=scenario.label, name=name))


def _fill(text: Any, **values: Any) -> Any:
    return format_lazy(text, **{name: _shorten(value) for name, value in values.items()})


def _shorten(value: Any) -> Any:
    return value[:120] if isinstance(value, str) else value
