"""Connect the apps that must not import each other: each port gets its answer here, and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError
from gateway.dashboard import examples
from gateway.playground import code_samples, tabs  # noqa: F401  (an incomplete table stops the start)
from models_catalog import queries as catalog
from models_catalog import scenarios
from models_catalog.facts import library, price_versions
from models_catalog.resolution.entries import PriceHistory
from providers import ports as provider_ports
from providers.credentials import validation
from providers.credentials.opening import effective_base_url
from providers.declaration import registry
from providers.ports import TrialFacts
from providers.stored import queries as stored_queries
from quotas import ports as quota_ports
from quotas.ports import CredentialField, PlanCredential, RetiredModel
from quotas.trials import queries as trial_queries
from quotas.usage import last_used
from tenants import ports as tenant_ports


def connect() -> None:
    """Connect every port. Called once, when all apps are loaded."""
    tenant_ports.callables.connect(examples.callables)
    tenant_ports.example.connect(examples.example)
    tenant_ports.guides.connect(examples.guides)
    tenant_ports.label.connect(label)

    provider_ports.connected_trials.connect(trials_by_provider)
    provider_ports.model_counts.connect(catalog.counts)
    provider_ports.dependents.connect(catalog.scenarios_of)
    provider_ports.latest_calls.connect(latest_calls)

    quota_ports.check_credential.connect(check_plan_credential)
    quota_ports.credential_fields.connect(plan_fields)
    quota_ports.effective_url.connect(effective_base_url)
    quota_ports.retired.connect(retired_models)
    quota_ports.prices.connect(prices)
    quota_ports.prices_document.connect(price_versions.document_of)
    quota_ports.prices_of.connect(price_versions.history_of)
    quota_ports.provider_label.connect(provider_label)
    quota_ports.holds_of_open_batches.connect(stored_queries.holds_of_open_batches)


def trials_by_provider(tenant_id: UUID) -> Mapping[str, TrialFacts]:
    """Return the trial of each provider; of several plans, the one with the most credits left."""
    views = sorted(
        trial_queries.trials(tenant_id=tenant_id), key=lambda view: (view.is_on, view.left)
    )
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


def latest_calls(
    tenant_id: UUID, models: Collection[tuple[str, str]]
) -> Mapping[tuple[str, str], datetime]:
    """Return when models were last called, for the pages of models."""
    return last_used.latest_calls(tenant_id=tenant_id, models=models)


def check_plan_credential(provider: str, values: Mapping[str, str]) -> PlanCredential:
    """Check and split what an operator typed for a plan, as for a tenant's credential."""
    try:
        declared = registry.get(provider)
    except registry.UnknownProvider:
        raise ServiceError("unknown_provider", _("Unknown provider."), field="provider") from None
    typed = dict(values)
    base_url = typed.pop(validation.BASE_URL, "") or ""
    cleaned = validation.clean(
        [field for field in declared.credential_fields if field.name != validation.BASE_URL], typed
    )
    validation.require_complete(declared, cleaned)
    return PlanCredential(
        cleaned.public, cleaned.secret, validation.address(declared, cleaned.public, base_url)
    )


def plan_fields(provider: str) -> list[CredentialField]:
    """Return the inputs of a plan's credential, the same as a workspace fills in."""
    try:
        declared = registry.get(provider).credential_fields
    except registry.UnknownProvider:
        return []
    return [
        CredentialField(field.name, field.label, field.secret, field.help_text)
        for field in declared
    ]


def retired_models(provider: str, models: Collection[str]) -> list[RetiredModel]:
    """Return those of a plan's models that the provider has retired or will retire."""
    shipped = library.shipped(provider).models
    known = ((model, shipped[model]) for model in models if model in shipped)
    return [
        RetiredModel(model, fact.retired, fact.successor or "")
        for model, fact in known
        if fact.retired is not None
    ]


def prices(tenant_id: UUID, provider: str, model: str) -> PriceHistory | None:
    """Return the versions of a model's price in the catalog."""
    entry = (
        catalog.entry(tenant_id=tenant_id, provider=provider, model=model)
        if provider_label(provider)
        else None
    )
    return None if entry is None else entry.prices


def label(kind: str, code: str) -> Any:
    """Return what people call an audited code; the code itself if it has no name."""
    name_of = {"default_model": scenario_label, "provider": provider_label}.get(kind)
    return (name_of(code) if name_of and code else None) or code


def scenario_label(scenario: str) -> Any:
    """Return a scenario's label, or None if there is no such scenario."""
    known = scenarios.find(scenario)
    return known.label if known else None


def provider_label(provider: str) -> Any:
    """Return a provider's label, or None if there is no such provider."""
    try:
        return registry.get(provider).label
    except registry.UnknownProvider:
        return None
