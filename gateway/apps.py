from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from datetime import datetime

    from providers.ports import TrialFacts
    from quotas.ports import CredentialField, ListPrice, PlanCredential, RetiredModel


class GatewayConfig(AppConfig):
    """Where the apps that do not know each other are joined: trials with providers, plans with adapters and the catalog."""

    name = "gateway"
    verbose_name = _("Gateway")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from gateway.dashboard import examples  # noqa: F401 - a table with a gap ends the start
        from gateway.playground import code_samples, tabs  # noqa: F401 - a table with a gap ends the start
        from providers import ports
        from providers.credentials.opening import effective_base_url
        from quotas import ports as hooks
        from tenants import ports as tenant_hooks

        tenant_hooks.register(callables=examples.callables, example=examples.example)
        tenant_hooks.register_labels({"default_model": scenario_label, "provider": provider_label})
        ports.register_trials(trials_by_provider)
        ports.register_latest_calls(latest_calls)
        hooks.register(check=check_plan_credential, effective_url=effective_base_url, retired=retired_models, fields=plan_fields)
        hooks.register_catalog(price=list_price, label=provider_label)


def trials_by_provider(tenant_id: UUID) -> Mapping[str, TrialFacts]:
    """The trial of each provider, for the providers' pages; of several plans the one that has most left."""
    from providers.ports import TrialFacts
    from quotas.trials import queries

    views = sorted(queries.trials(tenant_id=tenant_id), key=lambda view: (view.is_on, view.left))
    return {
        view.provider: TrialFacts(
            plan=view.plan,
            limit=view.limit,
            settled=view.settled,
            held=view.held,
            left=view.left,
            models=view.models,
            is_on=view.is_on,
        )
        for view in views
    }


def latest_calls(tenant_id: UUID, models: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], datetime]:
    """When models were called last, for the pages of models."""
    from quotas.usage import last_used

    return last_used.latest_calls(tenant_id=tenant_id, models=models)


def check_plan_credential(provider: str, values: Mapping[str, str]) -> PlanCredential:
    """What an operator typed for a plan, checked and split as a tenant's credential is. Raises ServiceError."""
    from core.errors import ServiceError
    from providers.credentials import validation
    from providers.declaration import registry
    from quotas.ports import PlanCredential

    try:
        declared = registry.get(provider)
    except registry.UnknownProvider:
        raise ServiceError("unknown_provider", _("There is no such provider."), field="provider", status=400) from None
    typed = dict(values)
    base_url = typed.pop(validation.BASE_URL, "") or ""
    cleaned = validation.clean([field for field in declared.credential_fields if field.name != validation.BASE_URL], typed)
    validation.require_complete(declared, cleaned)
    return PlanCredential(cleaned.public, cleaned.secret, validation.address(declared, cleaned.public, base_url))


def plan_fields(provider: str) -> list[CredentialField]:
    """The inputs of a plan's credential: those that a workspace of this provider fills in."""
    from providers.declaration import registry
    from quotas.ports import CredentialField

    try:
        declared = registry.get(provider).credential_fields
    except registry.UnknownProvider:
        return []
    return [CredentialField(one.name, one.label, one.secret, one.help_text) for one in declared]


def retired_models(provider: str, models: Collection[str]) -> list[RetiredModel]:
    """Those of a plan's models that their provider has switched off or will."""
    from models_catalog.facts import library
    from quotas.ports import RetiredModel

    shipped = library.shipped(provider).models
    known = ((model, shipped[model]) for model in models if model in shipped)
    return [RetiredModel(model, fact.retired, fact.successor or "") for model, fact in known if fact.retired is not None]


def list_price(tenant_id: UUID, provider: str, model: str) -> ListPrice | None:
    """A model's price in the catalog of now, for the page of a call."""
    from models_catalog import queries
    from quotas.ports import ListPrice

    entry = queries.entry(tenant_id=tenant_id, provider=provider, model=model) if provider_label(provider) else None
    if entry is None or entry.price is None:
        return None
    return ListPrice(entry.price, entry.as_of, entry.source, is_own="price" in entry.overrides)


def scenario_label(scenario: str) -> Any:
    """What a default model is for; None where there is no such scenario."""
    from models_catalog import scenarios

    found = scenarios.find(scenario)
    return found.label if found else None


def provider_label(provider: str) -> Any:
    """A provider's name for people; None where there is no such provider."""
    from providers.declaration import registry

    try:
        return registry.get(provider).label
    except registry.UnknownProvider:
        return None
