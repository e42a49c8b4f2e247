"""A workspace of its own for what has come to its end: trials, accounts, and models that are still
somebody's default.
"""

from __future__ import annotations

from models_catalog.models import DefaultModel
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from tenants.models import Tenant
from tenants.scope import all_tenants, tenant_scope
from tests import factories
from tests.browser.scene import trial

DEFAULTS = {  # scenario: the model, which cannot be called, and what steps in
    "reasoning": ("openai/gpt-3.5-turbo", ["demo/demo-chat", "deepseek/deepseek-chat"]),
    "embedding": ("openai/text-embedding-ada-002", []),
    "rerank": ("demo/no-longer-there", []),
}
KEYS = {
    "Default": CredentialState.CONNECTED,
    "Production": CredentialState.NO_FUNDS,
    "Backup": CredentialState.UNREACHABLE,
}


def show(space: factories.Workspace) -> None:
    with all_tenants():
        trial(space.tenant, "openai", "OpenAI", 500, 500, {"gpt-3.5-turbo": 1})
    with tenant_scope(space.tenant):
        _credentials(space.tenant)
        for scenario, (model, fallbacks) in DEFAULTS.items():
            DefaultModel.objects.create(
                tenant=space.tenant, scenario=scenario, model=model, fallbacks=fallbacks
            )


def _credentials(tenant: Tenant) -> None:
    """Three keys in an order, one of which works; and a list of models that could not be
    fetched.
    """
    for place, (name, state) in enumerate(KEYS.items()):
        row = factories.make_credential(
            tenant, provider="deepseek", name=name, is_active=place == 0
        )
        empty = {
            "text": "No balance is left.",
            "status": 402,
            "provider_code": "invalid_request_error",
        }
        detail = empty if state is CredentialState.NO_FUNDS else {}
        ProviderCredential.objects.filter(pk=row.pk).update(
            state=state, state_detail=detail, position=place
        )
    down = {"text": "The service is down for a while.", "status": 503}
    ProviderChoice.objects.create(tenant=tenant, provider="deepseek", models_failure=down)
    factories.make_credential(tenant, provider="demo", name="Default")
